"""Do the accounts and rules of docker-compose.yml let each part do its work, and nobody else anything?

The broker's settings are those of the Compose file, with other ports; the steps are those of its services, outside of Docker.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import confluent_kafka
import orjson
import pytest
import yaml

from models.calendar import iso
from stream.engine.options import wall_clock
from tests.integration.installation import Installation, Worker, event, until
from tests.kafka_broker import KafkaBroker
from tests.tools import free_port

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]


def filled(text: object) -> str:
    """Return a value of the Compose file with the secrets that `deploy/env.sh` would draw."""
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: f"{found[1].lower()}-0123456789", str(text))
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.fixture(scope="module")
def broker(kafka_jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    said = {name.removeprefix("KAFKA_").lower(): filled(value) for name, value in SERVICES["kafka"]["environment"].items()}
    for name in ("log_dirs", "heap_opts", "node_id", "process_roles"):
        del said[name]  # of the image, or of the test broker
    ports = {name: free_port() for name in ("INTERNAL", "EXTERNAL", "LOCAL", "CONTROLLER")}
    for name in ("listeners", "advertised_listeners"):
        said[name] = re.sub(r"(\w+)://[\w.]*:\d+", lambda found: f"{found[1]}://127.0.0.1:{ports[found[1]]}", said[name])
    said["controller_quorum_voters"] = f"1@127.0.0.1:{ports['CONTROLLER']}"
    assert "User:ANONYMOUS" in said["super_users"] and "LOCAL://127.0.0.1" in said["listeners"]
    found = KafkaBroker(tmp_path_factory.mktemp("compose") / "kafka", heap="512m", **cast(dict[str, Any], said))
    found.port, found.bootstrap = ports["LOCAL"], f"127.0.0.1:{ports['LOCAL']}"
    with found:
        found.internal = f"127.0.0.1:{ports['INTERNAL']}"  # type: ignore[attr-defined]
        yield found


def settings(service: str, broker: Any) -> dict[str, str]:
    environment = {name: filled(value) for name, value in SERVICES[service]["environment"].items()}
    wanted = {name: value for name, value in environment.items() if name.startswith("VIGIE_KAFKA__S")}
    assert len(wanted) == 3, "protocol, user, password"
    return {name.removeprefix("VIGIE_"): value for name, value in wanted.items()} | {"KAFKA__BROKERS": broker.internal}


def test_the_services_of_the_compose_file_do_their_work_and_no_more(broker: Any, tmp_path: Path) -> None:
    site = Installation(broker.internal, "", tmp_path)
    site.set(**settings("worker", broker))
    refused = site.vigie("doctor")
    assert refused.exit_code == 1
    said = " ".join(refused.output.split())
    assert "does not let User:vigie-worker see" in said and "vigie topics create --grant worker=vigie-worker" in said, said

    site.set(**settings("topics", broker))
    made = site.vigie(*SERVICES["topics"]["command"])
    assert made.exit_code == 0 and "worker=vigie-worker:" in made.output, made.output
    site.done(*SERVICES["topics"]["command"])  # as at each `docker compose up`

    publisher = {"KAFKA__SASL_USERNAME": "vigie-publisher", "KAFKA__SASL_PASSWORD": filled("${VIGIE_KAFKA_PUBLISHER_PASSWORD:?}")}
    file = tmp_path / "events.jsonl"
    at = iso(wall_clock() // 1000 * 1000 - 3_600_000)
    file.write_bytes(
        orjson.dumps(event("deal.created", "c1", "D1", at, amount="5", currency="EUR"))
        + b"\n"
        + orjson.dumps(event("deal.won", "w1", "D1", at))
    )
    site.set(**(settings("worker", broker) | publisher))
    site.done("publish", file)

    site.set(**settings("worker", broker))
    with site.worker().ready() as worker:
        until(lambda: worker.readings("24h")["sales"]["value"] == 1, why=lambda: worker.log)
        with Worker(site, settings("web", broker) | {"INSTANCE": "web0"}, "web").ready() as web:
            until(lambda: web.readings("24h")["sales"]["value"] == 1, why=lambda: web.log)
        report = orjson.loads(site.vigie("doctor", "--json").stdout)
        assert report["ok"], report
        assert "authorization" not in worker.log.lower(), worker.log

    # What each may not.
    client = {
        "bootstrap.servers": broker.internal,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "log_level": 0,
    }

    def produced(user: str, topic: str) -> int | None:
        known = {"sasl.username": f"vigie-{user}", "sasl.password": filled(f"${{VIGIE_KAFKA_{user.upper()}_PASSWORD:?}}")}
        producer = confluent_kafka.Producer(client | known)
        codes: list[int | None] = []
        producer.produce(topic, b"{}", on_delivery=lambda error, _: codes.append(None if error is None else error.code()))
        assert producer.flush(120) == 0
        return codes[0]

    forbidden = confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert produced("publisher", "alerts") == forbidden
    assert produced("web", "panes") == produced("web", "vigie-fold-deals-changelog") == forbidden
    assert produced("web", "alerts") is None
    anonymous = confluent_kafka.Producer({"bootstrap.servers": broker.internal, "log_level": 0, "message.timeout.ms": 3000})
    told: list[Any] = []
    anonymous.produce("deals", b"{}", on_delivery=lambda error, _: told.append(error))
    anonymous.flush(120)
    assert told[0] is not None, "without a password nobody comes in"


def test_one_who_may_see_topics_but_not_the_group_is_told_so(broker: Any, tmp_path: Path) -> None:
    site = Installation(broker.internal, "", tmp_path)
    site.set(**(settings("web", broker)))
    said = " ".join(site.vigie("doctor").output.split())
    assert "does not let User:vigie-web see" in said and "Traceback" not in said, said
    assert os.environ.get("VIGIE_KAFKA__SASL_PASSWORD") is None
