"""The Helm chart, rendered by helm: what Kubernetes, Prometheus and KEDA take, what Vigie reads, and what is refused."""

import copy
import importlib.util
import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.config.settings import Settings, load
from tests.tools import program

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("vigie_chart", ROOT / "deploy/chart.py")
assert _spec is not None and _spec.loader is not None
chart = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chart)

CASES = [None, "single-values.yaml", "roles-values.yaml", "secret-values.yaml"]
ROLES = "roles-values.yaml"
KAFKA = ('mode="roles"', 'config.kafka={"brokers": "kafka:9092"}')


@pytest.fixture(autouse=True)
def tools() -> None:
    """What `make chart` and CI have brought; elsewhere, nothing is tested, and it is said."""
    if not (chart.TOOLS / "custom.json").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("helm and the schemas are required in CI: make .venv/.chart")
        pytest.skip("NOT TESTED: helm and the schemas are not here (make chart)")


@cache
def rendered(case: str | None, *sets: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chart.render(*([chart.CHART / "ci" / case] if case else []), sets=sets)
    return found


def of(found: list[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    [one] = [made for made in found if made["kind"] == kind and name in (None, made["metadata"]["name"])]
    return one


def pods(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return each workload's pod by its component."""
    workloads = [made for made in found if made["kind"] in ("Deployment", "StatefulSet", "Job")]
    return {made["metadata"]["labels"]["app.kubernetes.io/component"]: made["spec"]["template"] for made in workloads}


def refusal(*sets: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        chart.render(sets=sets)
    return str(refused.value.stderr)


def test_every_rendering_is_what_kubernetes_prometheus_and_keda_take() -> None:
    assert chart.check() == []


def test_the_schemas_refuse_what_is_wrong() -> None:
    schemas = chart.Schemas(chart.KUBERNETES[-1])
    for kind, path, value in (
        ("Deployment", ("spec", "template", "spec", "containers", 0, "readynessProbe"), {}),
        ("Deployment", ("spec", "replicas"), "two"),
        ("ScaledObject", ("spec", "triggers", 0, "metadata", "threshold"), 30),
        ("ServiceMonitor", ("spec", "endpoints", 0, "intervall"), "15s"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "for_"), "5m"),
    ):
        made = copy.deepcopy(next(one for one in rendered(ROLES) if one["kind"] == kind))
        assert list(schemas.problems(made)) == []
        place: Any = made
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
        assert list(schemas.problems(made)), path
    assert list(schemas.problems({"apiVersion": "apps/v2", "kind": "Deployment"})) == ["apps/v2/Deployment: no such kind"]


def settings_of(found: list[dict[str, Any]], component: str, folder: Path) -> Settings:
    """Return the settings that a pod begins with, its volumes laid out in a folder."""
    pod = pods(found)[component]["spec"]
    [container] = pod["containers"]
    maps = {made["metadata"]["name"]: made["data"] for made in found if made["kind"] == "ConfigMap"}
    mounted = {
        mount["name"]: mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in ("settings", "secrets")
    }
    for volume in pod["volumes"]:
        if volume["name"] not in mounted:
            continue
        for source in volume.get("projected", {}).get("sources", [volume]):
            held = source.get("configMap") or source.get("secret")
            for item in held["items"]:
                file = folder / mounted[volume["name"]].lstrip("/") / item["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(maps[held["name"]][item["key"]] if "configMap" in source else "redis://of-a-secret:6379")
    environment = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    for name, value in environment.items():
        if name.endswith("_FILE") or name == "VIGIE_CONFIG":
            environment[name] = str(folder / value.lstrip("/"))
    return load(environ=environment)


@pytest.mark.parametrize("component", ["fold", "serve", "predict", "web", "topics"])
def test_roles_begin_with_settings_that_vigie_reads(component: str, tmp_path: Path) -> None:
    settings = settings_of(rendered(ROLES), component, tmp_path)
    assert (settings.kafka.brokers, settings.application, settings.kafka.partitions) == ("kafka:9092", "sales", 8)
    assert settings.kafka.sasl_password.get_secret_value() == "redis://of-a-secret:6379"
    assert settings.kafka.sasl_username == ("vigie-setup" if component == "topics" else "vigie")
    assert (settings.web.host, settings.web.port) == ("0.0.0.0", 8080)
    assert settings.data_dir == Path("/var/lib/vigie/data")
    assert settings.processes == ("auto" if component == "topics" else 1)


def test_one_machine_begins_with_settings_that_vigie_reads(tmp_path: Path) -> None:
    settings = settings_of(rendered("single-values.yaml"), "single", tmp_path)
    assert settings.kafka.embedded and settings.business.timezone == "Europe/Paris"
    assert settings.sources["hubspot"]["client_secret"] and settings.web.metrics_token is not None
    assert settings.rule_folders == [Path("/etc/vigie/rules")] and settings.kpi_files == [Path("/etc/vigie/kpis/ours.yaml")]
    assert (tmp_path / "etc/vigie/rules/slow.yaml").read_text() == "rules: []\n"
    assert settings.web.public_url == "https://vigie.example.com"
    assert settings_of(rendered(None), "single", tmp_path / "plain").receivers[0].name == "console"


@pytest.mark.parametrize("case", CASES)
def test_each_pod_is_shut_in_and_asked_how_it_is(case: str | None) -> None:
    from vigie.__main__ import Commands

    for component, pod in pods(rendered(case)).items():
        spec = pod["spec"]
        [container] = spec["containers"]
        # Service links would be VIGIE_PORT=tcp://…, which Vigie refuses as a setting that it does not know.
        assert spec["enableServiceLinks"] is False and spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["requests"]["memory"] and "cpu" not in container["resources"]["limits"]
        command = Commands.places[container["args"][0]].load(container["args"][0])
        options = {option for parameter in getattr(command, "params", ()) for option in parameter.opts}
        assert {word for word in container["args"] if word.startswith("--")} <= options
        if component == "topics":
            continue
        assert container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        # What a stop takes (vigie.common), and the wait before it.
        assert spec["terminationGracePeriodSeconds"] > 25 + 5


def test_no_secret_is_in_what_is_rendered() -> None:
    text = json.dumps(rendered(ROLES))
    assert not [made for made in rendered(ROLES) if made["kind"] == "Secret"]
    assert "password" in text and not re.search(r'"name": "[A-Z_]*(PASSWORD|TOKEN|KEYS|URL)", "value"', text)
    refused = refusal('secrets=[{"setting": "kafka.sasl_password", "value": "hunter2"}]')
    assert "additional properties 'value' not allowed" in refused and "missing propert" in refused


def test_more_pods_fold_while_events_wait() -> None:
    scaled = of(rendered(ROLES), "ScaledObject")["spec"]
    assert scaled["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "release-vigie-fold"}
    assert "replicas" not in of(rendered(ROLES), "Deployment", "release-vigie-fold")["spec"]
    assert of(rendered(ROLES), "Deployment", "release-vigie-web")["spec"]["replicas"] == 3
    assert scaled["minReplicaCount"] == 1
    [trigger] = scaled["triggers"]
    query = trigger["metadata"]["query"]
    assert (trigger["metricType"], trigger["metadata"]["ignoreNullValues"]) == ("Value", "false")
    assert 'group="sales"' in query and 'namespace="sales"' in query
    [metric] = re.findall(r"vigie_\w+", query)
    assert f'"{metric}"' in (ROOT / "stream/metrics.py").read_text("utf-8")
    assert "minimum: got 0, want 1" in refusal(*KAFKA, "autoscaling.minReplicas=0")


@pytest.mark.prometheus
def test_prometheus_takes_the_rules_and_they_are_those_of_deploy(tmp_path: Path) -> None:
    for name in chart.COPIES:
        assert (chart.CHART / "files" / name).read_bytes() == (ROOT / "deploy/prometheus" / name).read_bytes(), "make docs"
    rule = of(rendered("single-values.yaml"), "PrometheusRule")["spec"]
    whole = [
        group
        for name in reversed(chart.COPIES)
        for group in yaml.safe_load((ROOT / "deploy/prometheus" / name).read_text())["groups"]
    ]
    text = json.dumps(whole).replace("docs/runbooks/", "https://docs.example.com/runbooks/")
    assert rule["groups"] == json.loads(text)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rule))
    told = subprocess.run(
        [program("promtool"), "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True, timeout=600
    )
    assert told.returncode == 0, told.stdout + told.stderr
    monitor = of(rendered("single-values.yaml"), "ServiceMonitor")["spec"]
    service = of(rendered("single-values.yaml"), "Service", "release-vigie-metrics")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {"targetLabel": "job", "replacement": "vigie"} in monitor["endpoints"][0]["relabelings"]


def test_who_reaches_what() -> None:
    found = rendered("single-values.yaml")
    [rule] = of(found, "NetworkPolicy")["spec"]["ingress"]
    assert [next(iter(peer["namespaceSelector"]["matchLabels"].values())) for peer in rule["from"]] == [
        "ingress-nginx",
        "monitoring",
    ]
    assert of(found, "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress", "Egress"]
    policies = {made["metadata"]["name"]: made["spec"] for made in rendered(ROLES) if made["kind"] == "NetworkPolicy"}
    assert "from" not in policies["release-vigie-web"]["ingress"][0]
    assert policies["release-vigie-fold"]["ingress"][0]["from"] == [{"namespaceSelector": {}}]
    for case in (ROLES, "single-values.yaml"):
        front = of(rendered(case), "Service", "release-vigie")["spec"]["selector"]["app.kubernetes.io/component"]
        assert front == ("single" if case != ROLES else "web")


def test_nobody_predicts_where_models_are_off() -> None:
    off = rendered(None, *KAFKA, 'config.models={"live": false}')
    assert set(pods(off)) == {"fold", "serve", "web", "topics"}
    assert {made["metadata"]["name"] for made in off if made["kind"] == "PodDisruptionBudget"} == {
        "release-vigie-fold", "release-vigie-serve", "release-vigie-web",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (('mode="roles"',), "needs a Kafka: set config.kafka.brokers"),
        (('config.kafka={"brokers": "kafka:9092"}',), "names a Kafka: set mode: roles"),
        ((*KAFKA, "fold.replicas=9"), "9 pods would fold 8 partitions"),
        ((*KAFKA, 'autoscaling={"enabled": true, "maxReplicas": 12}'), "set autoscaling.maxReplicas to at most 8"),
        ((*KAFKA, 'autoscaling={"enabled": true, "minReplicas": 5, "maxReplicas": 4}'), "is below autoscaling.minReplicas"),
        (('autoscaling={"enabled": true}',), "mode: single is one pod"),
        (('ingress={"enabled": true}',), "ingress.host: needed"),
        (('mode="kafka"',), "/mode"),
        (("replicas=3",), "'replicas' not allowed"),
        (('image={"digest": "latest"}',), "/image/digest"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(sets: tuple[str, ...], said: str) -> None:
    assert said in refusal(*sets)


def test_the_chart_says_what_it_is() -> None:
    told = yaml.safe_load((chart.CHART / "Chart.yaml").read_text("utf-8"))
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert version is not None and told["version"] == told["appVersion"] == version[1]
    readme = (chart.CHART / "README.md").read_text("utf-8")
    for name in yaml.safe_load((chart.CHART / "values.yaml").read_text("utf-8")):
        assert f"`{name}" in readme, f"{name} is not explained"
