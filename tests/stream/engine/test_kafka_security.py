"""What librdkafka's names become for a client of aiokafka of ours."""

import pytest

from stream.engine.kafka_security import aiokafka_security


def test_each_way_in_is_told_to_aiokafka() -> None:
    assert aiokafka_security({}) == {}
    told = aiokafka_security({"security.protocol": "SASL_PLAINTEXT", "sasl.username": "ann", "sasl.password": "p"})
    assert told == {
        "security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": "ann", "sasl_plain_password": "p",
        "sasl_mechanism": "PLAIN", "ssl_context": None,
    }  # fmt: skip
    told = aiokafka_security({"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512"})
    assert told["sasl_mechanism"] == "SCRAM-SHA-512" and told["ssl_context"] is not None
    assert set(aiokafka_security({"security.protocol": "SSL"})) == {"security_protocol", "ssl_context"}
    with pytest.raises(ValueError, match=r"security\.protocol: found"):
        aiokafka_security({"security.protocol": "TELNET"})
