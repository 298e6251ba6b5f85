"""``/metrics`` behind a proxy that asks for a certificate, as docs/security.md has it: who has none does not come through."""

import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.stream.web.test_access import SCRAPER, House

Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(name: str, folder: Path, by: Signed | None = None) -> Signed:
    """Write a certificate and its key, signed by another one or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing = (subject, key) if by is None else (by[0].subject, by[1])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return made, key


@contextlib.asynccontextmanager
async def proxy(house: House, folder: Path) -> AsyncIterator[int]:
    """A proxy as in docs/security.md: it asks for a certificate, and its own token goes in place of the caller's."""

    async def passed(request: web.Request) -> web.Response:
        answer = await house.ask(request.path, peer="127.0.0.1", authorization=f"Bearer {SCRAPER}")
        return web.Response(status=answer.status_code, body=answer.content)

    app = web.Application()
    app.router.add_get("/metrics", passed)
    asking = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    asking.load_cert_chain(folder / "server.pem")
    asking.verify_mode = ssl.CERT_REQUIRED
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=asking)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_who_has_a_certificate_scrapes_and_nobody_else(tmp_path: Path) -> None:
    ca = certificate("ca", tmp_path)
    certificate("server", tmp_path, ca)
    certificate("prometheus", tmp_path, ca)
    certificate("stranger", tmp_path)
    house = House(proxies=("127.0.0.1/32",))
    async with proxy(house, tmp_path) as port:
        for shows, come in (("prometheus", True), ("stranger", False), ("", False)):
            context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            if shows:
                context.load_cert_chain(tmp_path / f"{shows}.pem")
            async with httpx.AsyncClient(verify=context) as client:
                if come:
                    answer = await client.get(f"https://localhost:{port}/metrics")
                    assert answer.status_code == 200 and "vigie_" in answer.text
                else:
                    with pytest.raises((httpx.TransportError, aiohttp.ClientError)):
                        await client.get(f"https://localhost:{port}/metrics")
    # What a proxy writes of its callers opens nothing by itself.
    for said in ({"x-ssl-client-verify": "SUCCESS"}, {"x-forwarded-for": "127.0.0.1"}, {"x-forwarded-user": "prometheus"}):
        assert (await house.ask("/metrics", peer="127.0.0.1", headers=list(said.items()))).status_code == 401
