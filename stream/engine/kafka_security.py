"""How do librdkafka's names for TLS and SASL become what aiokafka wants?"""

import ssl
from collections.abc import Mapping
from typing import Any

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def faust_credentials(security: Mapping[str, str]) -> Any:
    """Credentials for Faust's consumer, or None for a plain connection.

    Raises ``ValueError`` for a protocol or mechanism that one of the two clients does not speak.
    """
    from faust import SASLCredentials, SSLCredentials
    from faust.types.auth import SASLMechanism

    protocol = security.get("security.protocol", "PLAINTEXT").upper()
    if protocol not in _PROTOCOLS:
        raise ValueError(f"security.protocol: found {protocol!r}; accepted: {', '.join(_PROTOCOLS)}")
    context = _context(security) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        mechanism = security.get("sasl.mechanism", security.get("sasl.mechanisms", "PLAIN")).upper()
        if mechanism not in _MECHANISMS:
            raise ValueError(f"sasl.mechanism: found {mechanism!r}; accepted: {', '.join(_MECHANISMS)}")
        return SASLCredentials(
            username=security.get("sasl.username"),
            password=security.get("sasl.password"),
            ssl_context=context,
            mechanism=SASLMechanism(mechanism),
        )
    return SSLCredentials(context) if context is not None else None


def aiokafka_security(security: Mapping[str, str]) -> dict[str, Any]:
    """Return the same as arguments of a client of aiokafka. Raises ``ValueError`` as :func:`faust_credentials`."""
    from faust import SASLCredentials
    from faust.types.auth import SASLMechanism

    found = faust_credentials(security)
    if found is None:
        return {}
    told: dict[str, Any] = {"security_protocol": found.protocol.value}
    if isinstance(found, SASLCredentials):
        told |= {"sasl_plain_username": found.username, "sasl_plain_password": found.password, "ssl_context": found.ssl_context}
        return told | {"sasl_mechanism": (found.mechanism or SASLMechanism.PLAIN).value}
    return told | {"ssl_context": found.context}


def _context(security: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=security.get("ssl.ca.location"))
    certificate = security.get("ssl.certificate.location")
    if certificate:
        context.load_cert_chain(certificate, security.get("ssl.key.location"), security.get("ssl.key.password"))
    if security.get("ssl.endpoint.identification.algorithm", "https") in ("none", ""):
        context.check_hostname = False
    if security.get("enable.ssl.certificate.verification", "true").lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
