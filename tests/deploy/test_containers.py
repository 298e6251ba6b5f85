"""Do the container files say what the code and each other expect?"""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings, load
from tests.tools import program
from vigie.routes import load_alerting
from vigie.rule_files import load_rules

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def without_variables(text: str) -> str:
    """Return the text with ``${NAME:-default}`` replaced by the default, and what has none by a secret of its own."""
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: f"{found[1]:x<48}", text)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_the_services():
    assert set(SERVICES) == {"kafka", "valkey", "topics", "worker", "web", "demo", "single", "prometheus", "grafana", "mailpit"}
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:[\w.-]+", service["image"]), f"{name}: an image needs a tag"
        assert not service["image"].endswith(":latest")


OURS = ("topics", "worker", "web", "demo")


@pytest.mark.parametrize("name", OURS)
def test_the_settings_exist(name):
    environment = {key: without_variables(str(value)) for key, value in SERVICES[name]["environment"].items()}
    mounted = dict(volume.split(":")[1::-1] for volume in SERVICES[name]["volumes"])
    config = environment.pop("VIGIE_CONFIG")
    settings = load(ROOT / mounted[config], environ=environment)
    assert settings.kafka.brokers == "kafka:19092"
    assert settings.web.host == "0.0.0.0"
    assert settings.web.port == 8080
    password = without_variables(SERVICES["valkey"]["environment"]["REDISCLI_AUTH"])
    assert settings.redis.url.get_secret_value() == f"redis://:{password}@valkey:6379/0"
    assert password in [without_variables(word) for word in SERVICES["valkey"]["command"]]
    user = {"topics": "vigie-setup", "web": "vigie-web"}.get(name, "vigie-worker")
    assert (settings.kafka.security_protocol, settings.kafka.sasl_username) == ("SASL_PLAINTEXT", user)
    account = f'user_{user}="{settings.kafka.sasl_password.get_secret_value()}"'
    assert account in without_variables(SERVICES["kafka"]["environment"]["KAFKA_LISTENER_NAME_INTERNAL_PLAIN_SASL_JAAS_CONFIG"])
    assert [one.role for one in settings.web.operators] == ["read"] and settings.web.metrics_token is not None


def test_one_machine_needs_nothing_else_and_keeps_its_file_in_a_volume():
    single = SERVICES["single"]
    assert single["profiles"] == ["single"] and "depends_on" not in single
    mounted = dict(volume.split(":")[1::-1] for volume in single["volumes"])
    environment = {key: without_variables(str(value)) for key, value in single["environment"].items()}
    settings = load(ROOT / mounted[environment.pop("VIGIE_CONFIG")], environ=environment)
    assert settings.kafka.embedded and [one.name for one in settings.receivers] == ["console"]
    kept = re.search(r"VIGIE_DATA_DIR=(\S+)", DOCKERFILE)
    assert kept and mounted[kept[1]] == "vigie-data" in COMPOSE["volumes"]
    scrape = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text("utf-8"))
    assert "single" in scrape["scrape_configs"][0]["dns_sd_configs"][0]["names"]


def test_the_secrets_are_drawn_once_and_prometheus_has_its_own(tmp_path):
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy/env.sh"
    script.write_text((ROOT / "deploy/env.sh").read_text("utf-8"), "utf-8")
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    drawn = dict(line.split("=") for line in (tmp_path / ".env").read_text("utf-8").splitlines())
    needed = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text("utf-8")))
    assert needed <= set(drawn) and all(re.fullmatch("[0-9a-f]{48}", value) for value in drawn.values())
    assert len(set(drawn.values())) == len(drawn) and (tmp_path / ".env").stat().st_mode & 0o077 == 0
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    assert dict(line.split("=") for line in (tmp_path / ".env").read_text("utf-8").splitlines()) == drawn
    (tmp_path / ".env").write_text("VIGIE_TIMEZONE=Europe/Paris\nVIGIE_READ_TOKEN=of-my-own")  # no line's end
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    completed = dict(line.split("=") for line in (tmp_path / ".env").read_text("utf-8").splitlines())
    assert completed.pop("VIGIE_TIMEZONE") == "Europe/Paris" and completed["VIGIE_READ_TOKEN"] == "of-my-own"
    assert set(completed) == set(drawn)
    secret = COMPOSE["secrets"]["vigie_metrics_token"]["environment"]
    assert SERVICES["web"]["environment"]["VIGIE_WEB__METRICS_TOKEN"].startswith("${" + secret)
    scrape = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text("utf-8"))
    (job,) = (job for job in scrape["scrape_configs"] if job["job_name"] == "vigie")
    assert job["authorization"] == {"credentials_file": "/run/secrets/vigie_metrics_token"}
    assert SERVICES["prometheus"]["secrets"] == ["vigie_metrics_token"]


def test_grafana_has_no_administrator_with_a_known_password():
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_PASSWORD:?")
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_mails_and_the_summary_reach_mailpit():
    settings = load(ROOT / "deploy/vigie.yaml", environ={})
    (mail,) = [vars(receiver) | (receiver.model_extra or {}) for receiver in settings.receivers if receiver.type == "email"]
    host, port = mail["host"], mail["port"]
    assert host in SERVICES and f"127.0.0.1:{port}:{port}" in SERVICES[host]["ports"]
    plan = load_alerting(settings)
    check = load_rules(load_catalogue(), plan=plan, targets=settings.quotas())
    assert check and plan.route.receivers == ("mail",)


def test_the_demo_starts_only_where_it_is_asked_for():
    assert SERVICES["demo"]["profiles"] == ["demo"]
    assert not any("profiles" in service for name, service in SERVICES.items() if name not in ("demo", "single"))


def test_the_images_settings_exist():
    names = dict(re.findall(r"(VIGIE_\w+)=(\S+)", DOCKERFILE))
    settings: Settings = load(environ=names)
    assert (settings.web.host, settings.web.port) == ("0.0.0.0", 8080)
    assert settings.data_dir == Path("/var/lib/vigie")


def test_dependencies_are_healthy_or_done():
    for name, service in SERVICES.items():
        for other, condition in service.get("depends_on", {}).items():
            assert other in SERVICES
            if condition["condition"] == "service_healthy":
                has_check = "test" in SERVICES[other].get("healthcheck", {}) or SERVICES[other]["image"].startswith("vigie")
                assert has_check, f"{name} waits for {other}, which has no health check"
            else:
                assert condition["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"] == "no", f"{other} would be started again and again"


def test_what_is_mounted_exists():
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert set(COMPOSE["volumes"]) <= used


def test_ports_are_open_to_this_machine_only():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_grafana_finds_its_dashboards_and_prometheus():
    folder = ROOT / "deploy/grafana/provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards/vigie.yml").read_text())["providers"]
    assert f"./dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "dashboards" / Path(home).name).exists()
    scrape = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]
    (names,) = (c["dns_sd_configs"][0] for c in scrape["scrape_configs"] if c["job_name"] == "vigie")
    assert set(names["names"]) <= set(SERVICES)
    assert names["port"] == 8080


@pytest.mark.prometheus
def test_promtool_accepts_the_configuration():
    result = subprocess.run(
        # The syntax only: the token's file is there in the container.
        [program("promtool"), "check", "config", "--syntax-only", str(ROOT / "deploy/prometheus.yml")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_image_is_built_from_what_there_is():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert f"!{source}" in ignored or f"!{source}/" in ignored, f"{source} does not reach the builder"
            assert (ROOT / source).exists(), source


def test_the_image_does_not_run_as_root():
    last = DOCKERFILE.split("\nFROM ")[-1]
    assert re.search(r"^USER vigie$", last, re.MULTILINE)
    assert last.index("USER vigie") < last.index("ENTRYPOINT")
    assert "STOPSIGNAL SIGTERM" in last
    assert "HEALTHCHECK" in last


def test_the_commands_exist():
    from vigie.__main__ import Commands

    for name in OURS:
        first, *rest = SERVICES[name]["command"]
        assert first in Commands.places
        command = Commands.places[first].load(first)
        if rest and not rest[0].startswith("-"):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context(name, list(rest), resilient_parsing=True)
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= options


def test_pinning_names_each_image_by_what_was_pulled(tmp_path):
    """With a `docker` that answers as Docker does: what is pulled has a digest, what is built here none."""
    (tmp_path / "deploy").mkdir()
    for name in ("deploy/pin.sh", "docker-compose.yml"):
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    images = sorted({service["image"] for service in SERVICES.values()})
    docker = tmp_path / "docker"
    listed = "\n".join(images)
    inspected = 'echo "${5%%:*}@sha256:$(printf %s "$5" | sha256sum | cut -c1-64)"'
    docker.write_text(f"#!/bin/sh\ncase $1 in compose) cat <<'E'\n{listed}\nE\n;; image) {inspected};; esac\n")
    docker.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", str(tmp_path / "deploy/pin.sh")], check=True, capture_output=True, env=environment)
    written = yaml.safe_load((tmp_path / "docker-compose.override.yml").read_text("utf-8"))["services"]
    assert set(written) == set(SERVICES) - {*OURS, "single"}
    for name, service in written.items():
        image = SERVICES[name]["image"]
        assert re.fullmatch(re.escape(image.partition(":")[0]) + r"@sha256:[0-9a-f]{64}", service["image"]), image
