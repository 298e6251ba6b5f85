"""Does all of it work over TLS and SASL, with the rules of docs/publish.md and no others?"""

import argparse
import datetime
import ipaddress
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from models.calendar import iso
from stream.engine.options import wall_clock
from tests.integration.installation import Installation, Worker, event, until
from tests.kafka_broker import KafkaBroker, free_port
from tests.stream.sources.crm import senders

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "vigie."
PASSWORD = "s3cret-of-the-test"
USERS = ("crm", "vigie-worker", "vigie-web", "vigie-setup")


def certificates(folder: Path) -> None:
    """Write an authority, and certificates of the broker and of a client, each with its key, as PEM."""
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    root = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])

    def made(name: str, key: ec.EllipticCurvePrivateKey, ca: bool) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        return (
            x509.CertificateBuilder()
            .subject_name(issuer if ca else subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(began)
            .not_valid_after(began + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
            .sign(root, hashes.SHA256())
        )

    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "ca.pem").write_bytes(made("authority", root, True).public_bytes(pem))
    for name in ("broker", "vigie-worker"):
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        (folder / f"{name}.key").write_bytes(secret)
        (folder / f"{name}.pem").write_bytes(made(name, key, False).public_bytes(pem))
        (folder / f"{name}-both.pem").write_bytes(secret + made(name, key, False).public_bytes(pem))


@dataclass
class Secured:
    """A broker with a listener of each kind; the plain one is the administrator's."""

    broker: KafkaBroker
    folder: Path
    sasl_ssl: str
    ssl: str
    sasl_plaintext: str

    def settings(self, user: str) -> dict[str, str]:
        """SASL over TLS."""
        found = {"BROKERS": self.sasl_ssl, "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512"}
        found |= {"SASL_USERNAME": user, "SASL_PASSWORD": PASSWORD, "SSL_CA": str(self.folder / "ca.pem")}
        return {f"KAFKA__{name}": value for name, value in found.items()}


@pytest.fixture(scope="module")
def secured(kafka_jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    certificates(folder)
    plain, sasl, tls, both, controller = (free_port() for _ in range(5))
    listeners = {"PLAINTEXT": plain, "SASL": sasl, "TLS": tls, "BOTH": both}
    advertised = ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())
    login = "org.apache.kafka.common.security.{}LoginModule required"
    accounts = " ".join(f'user_{user}="{PASSWORD}"' for user in USERS)
    store: dict[str, Any] = {
        "ssl_keystore_type": "PEM",
        "ssl_keystore_location": str(folder / "broker-both.pem"),
        "ssl_truststore_type": "PEM",
        "ssl_truststore_location": str(folder / "ca.pem"),
    }
    broker = KafkaBroker(
        folder / "kafka",
        heap="512m",
        listeners=f"{advertised},CONTROLLER://127.0.0.1:{controller}",
        advertised_listeners=advertised,
        controller_quorum_voters=f"1@127.0.0.1:{controller}",
        inter_broker_listener_name="PLAINTEXT",
        listener_security_protocol_map="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,BOTH:SASL_SSL",
        sasl_enabled_mechanisms="PLAIN,SCRAM-SHA-512",
        authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        super_users="User:ANONYMOUS;User:CN=vigie-worker",
        **{
            **store,
            "listener_name_tls_ssl_client_auth": "required",
            "listener_name_sasl_plain_sasl_jaas_config": f"{login.format('plain.Plain')} {accounts};",
            "listener_name_sasl_scram-sha-512_sasl_jaas_config": f"{login.format('scram.Scram')};",
            "listener_name_both_scram-sha-512_sasl_jaas_config": f"{login.format('scram.Scram')};",
            "listener_name_both_plain_sasl_jaas_config": f"{login.format('plain.Plain')} {accounts};",
        },
    )
    broker.port, broker.bootstrap = plain, f"127.0.0.1:{plain}"
    with broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        known = [UserScramCredentialUpsertion(user, info, PASSWORD.encode()) for user in USERS]
        for future in admin.alter_user_scram_credentials(known).values():
            future.result()
        for future in admin.create_acls(rules((ROOT / "docs/publish.md").read_text())).values():
            future.result()
        yield Secured(broker, folder, *(f"127.0.0.1:{port}" for port in (both, tls, sasl)))


def rules(page: str) -> list[AclBinding]:
    """Return what the ``kafka-acls`` commands of the page add."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    for kind in ("topic", "group", "transactional-id"):
        parser.add_argument(f"--{kind}")
    parser.add_argument("--resource-pattern-type", default="literal")
    found = []
    for line in re.findall(r"^\$A (.*)$", page, re.MULTILINE):
        told = parser.parse_args(shlex.split(line))
        ((kind, name),) = [(kind, getattr(told, kind)) for kind in ("topic", "group", "transactional_id") if getattr(told, kind)]
        pattern = ResourcePatternType[told.resource_pattern_type.upper()]
        for operation in told.operation:
            named = AclOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()]
            where = ResourceType[kind.upper()]
            found.append(AclBinding(where, name, pattern, told.allow_principal, "*", named, AclPermissionType.ALLOW))
    assert len(found) > 30
    return found


def test_workers_web_and_producers_with_the_rules_of_the_page(secured: Secured, tmp_path: Path) -> None:
    site = Installation(secured.broker.bootstrap, PREFIX, tmp_path)
    site.set(**secured.settings("vigie-setup"))
    site.done("topics", "create")
    site.set(**secured.settings("crm"))
    at = iso(wall_clock() // 1000 * 1000 - 3_600_000)
    file = tmp_path / "events.jsonl"
    file.write_bytes(orjson.dumps(event("deal.created", "c1", "D1", at, amount="5", currency="EUR")) + b"\n")
    site.done("publish", file)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LD_PRELOAD", "SHIFTED_CLOCK") if name in os.environ},
        "TOPIC_PREFIX": PREFIX,
        "KAFKA_BROKERS": secured.sasl_ssl,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": "crm",
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CA_LOCATION": str(secured.folder / "ca.pem"),
    }
    example = [sys.executable, str(ROOT / "examples/producer.py")]
    text = orjson.dumps(event("deal.won", "w1", "D1", at)) + b"\n"
    done = subprocess.run(example, input=text, env=environment, capture_output=True, timeout=600, check=False)
    assert done.stdout == b"1 sent, 0 not\n", done.stderr

    site.set(**secured.settings("vigie-worker"))
    with site.worker().ready() as worker:
        site.settle()
        assert worker.readings("24h")["sales"]["value"] == 1
        hubspot = orjson.dumps({"client_secret": senders.SECRET, "signatures": ["v1"]}).decode()
        web_settings = {**secured.settings("vigie-web"), "INSTANCE": "web0", "SOURCES__HUBSPOT": hubspot}
        with Worker(site, web_settings, "web").ready() as web:
            now = wall_clock()
            body = senders.compact([senders.hubspot_change("dealstage", "closedwon", objectId=2, occurredAt=now - 1000)])
            vector = senders.hubspot_old(body, "v1")
            answer = httpx.post(f"{web.url}/webhooks/hubspot", content=body, headers=vector["headers"], timeout=60)
            assert answer.status_code == 200, answer.text
            site.settle()
            until(lambda: web.readings("24h")["sales"]["value"] == 2)
        doctor = site.vigie("doctor", "--json")
        report = orjson.loads(doctor.stdout)
        assert report["ok"] and ("broker", "OK") in {(one["check"], one["level"]) for one in report["findings"]}, doctor.output
        assert PASSWORD not in worker.log

    # The same state, read by the same worker under its certificate: no password, no rules but a name.
    plain = {"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__BROKERS": secured.ssl}
    site.set(
        **plain,
        KAFKA__SSL_CERTIFICATE=str(secured.folder / "vigie-worker.pem"),
        KAFKA__SSL_KEY=str(secured.folder / "vigie-worker.key"),
    )
    with site.worker().ready() as worker:
        assert worker.readings("24h")["sales"]["value"] == 2

    # SASL without TLS.
    plain = {
        "KAFKA__BROKERS": secured.sasl_plaintext,
        "KAFKA__SASL_MECHANISM": "PLAIN",
        "KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    }
    site.set(**(secured.settings("vigie-worker") | plain))
    assert {one["check"]: one["level"] for one in orjson.loads(site.vigie("doctor", "--json").stdout)["findings"]}[
        "broker"
    ] == "OK"
    site.done("publish", file)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"KAFKA__SASL_PASSWORD": "another"}, "authentication failed"),
        ({"KAFKA__SASL_USERNAME": "nobody"}, "authentication failed"),
        ({"KAFKA__SECURITY_PROTOCOL": "PLAINTEXT"}, "no Kafka answers"),
        ({"KAFKA__SSL_CA": ""}, "certificate verify failed"),
    ],
)
def test_doctor_says_what_a_broker_refuses(wrong: dict[str, str], said: str, secured: Secured, tmp_path: Path) -> None:
    given: dict[str, Any] = secured.settings("vigie-worker") | wrong
    site = Installation(secured.broker.bootstrap, PREFIX, tmp_path, **given)
    if wrong.get("KAFKA__SSL_CA") == "":
        del site.settings["VIGIE_KAFKA__SSL_CA"]
    result = site.vigie("doctor")
    assert result.exit_code == 1
    assert said in result.output.lower() or said in result.output, result.output
    assert PASSWORD not in result.output and "another" not in result.output
