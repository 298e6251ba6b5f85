"""What is the engine told: where the broker is, and how long each lane may wait with its checkpoint?"""

from typing import Any

from agents import (
    deliver_notifications,
    dispatch_alerts,
    evaluate_alerts,
    foresee,
    keep_alert_states,
    know_customers,
    learn,
    mirror_tables,
    pick_highlights,
    prediction_fold,
    roll_kpis,
    watch_entities,
)
from agents.entity_fold import LANE as STATE
from stream.config.settings import Settings
from stream.engine.options import EAGER, EngineOptions

#: Lanes whose results people wait for: each checkpoints as soon as something has changed.
EAGER_LANES = (
    *(roll_kpis.LANE, evaluate_alerts.LANE, dispatch_alerts.LANE, deliver_notifications.LANE),
    *(watch_entities.LANE, keep_alert_states.LANE),
)
#: Lanes that may wait: what they write is large, and nobody's number depends on it.
SLOW_LANES = {
    prediction_fold.LANE: prediction_fold.EVERY,
    learn.LANE: learn.EVERY,
    pick_highlights.LANE: pick_highlights.EVERY,
    know_customers.LANE: know_customers.EVERY,
    foresee.LANE: foresee.EVERY,
    mirror_tables.LANE: 1,
}
LANES = (STATE, *EAGER_LANES, *SLOW_LANES)


def security(settings: Settings) -> dict[str, str]:
    """Return the Kafka clients' security settings under librdkafka's names."""
    kafka = settings.kafka
    if kafka.security_protocol == "PLAINTEXT":
        return {}
    found: dict[str, str] = {"security.protocol": kafka.security_protocol}
    if kafka.security_protocol.startswith("SASL"):
        found |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.ssl_ca is not None:
        found["ssl.ca.location"] = str(kafka.ssl_ca)
    if kafka.ssl_certificate is not None and kafka.ssl_key is not None:
        found |= {"ssl.certificate.location": str(kafka.ssl_certificate), "ssl.key.location": str(kafka.ssl_key)}
        if kafka.ssl_key_password.get_secret_value():
            found["ssl.key.password"] = kafka.ssl_key_password.get_secret_value()
    return found


def engine_options(settings: Settings, brokers: str, **more: Any) -> EngineOptions:
    """Return what the engine has to know; ``brokers`` is the real address where the settings say ``embedded``."""
    kafka = settings.kafka
    known: dict[str, Any] = {
        "brokers": brokers,
        "application": settings.application,
        "instance": settings.instance,
        "topic_prefix": kafka.topic_prefix,
        "partitions": kafka.partitions,
        "checkpoint_interval": settings.checkpoint_interval / 1000,
        "longest_interval": settings.checkpoint_longest / 1000,
        "lane_intervals": {
            **dict.fromkeys(EAGER_LANES, EAGER),
            **{lane: settings.checkpoint_interval * every / 1000 for lane, every in SLOW_LANES.items()},
        },
        "session_timeout": kafka.session_timeout / 1000,
        "security": security(settings),
        "embedded": kafka.embedded,
        "minimise": settings.privacy.minimiser() if settings.privacy.minimise else None,
    }
    return EngineOptions(**(known | more))
