"""A release is made of what is committed, with what has changed; and refused where the changelog knows nothing of it."""

import hashlib
import importlib.util
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("vigie_release", ROOT / "deploy/release.py")
assert _spec is not None and _spec.loader is not None
release = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(release)

LOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n- new\n\n## [0.2.0] - 2026-01-01\n- older\n\n## [0.1.0]\n"


def test_what_has_changed_is_of_that_version_only() -> None:
    assert release.changes(LOG, "Unreleased") == "### Added\n- new\n"
    assert release.changes(LOG, "0.2.0") == "- older\n"
    for of in ("0.1.0", "0.3.0", "0.2"):
        with pytest.raises(release.NoRelease, match=r"no section \[0\.[123]"):
            release.changes(LOG, of)


def test_everything_is_there_with_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sbom = tmp_path / "sbom.json"
    sbom.write_text("{}")
    made = {path.name: path for path in release.make(Path("dist"), sbom=sbom, unreleased=True)}
    number = release.version()
    context, source = f"vigie-{number}-image-context.tar.gz", f"vigie-{number}.tar.gz"
    wheel, chart = f"vigie-{number}-py3-none-any.whl", f"vigie-chart-{number}.tgz"
    assert set(made) == {context, source, wheel, chart, "CHANGES.md", f"vigie-{number}.cdx.json", "SHA256SUMS"}
    for line in made["SHA256SUMS"].read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256(made[name].read_bytes()).hexdigest() == digest
    assert "### Added" in made["CHANGES.md"].read_text("utf-8")
    assert f"vigie-{number}/Dockerfile" in tarfile.open(made[context]).getnames()
    assert f"vigie-{number}/pyproject.toml" in tarfile.open(made[source]).getnames()
    assert {"vigie/Chart.yaml", "vigie/files/vigie-alerts.yml"} <= set(tarfile.open(made[chart]).getnames())
    assert "vigie/__main__.py" in zipfile.ZipFile(made[wheel]).namelist()
