"""Makes a release in dist/: wheel, source, image context, Helm chart, SBOM, what has changed, and the hashes of all of it.

``python deploy/release.py [--sbom FILE] [--unreleased]``: run by ``make release``. It refuses where the changelog has no section
for the version of pyproject.toml, or where the tree has changes that are not committed; ``--unreleased`` makes one all the same.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class NoRelease(Exception):
    """There can be none; the message says why, and what to do."""


def version(root: Path = ROOT) -> str:
    """Return the version of pyproject.toml."""
    found: str = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    return found


def changes(text: str, of: str) -> str:
    """Return the section of the changelog about a version, or about what is unreleased; raise :class:`NoRelease`."""
    found = re.search(rf"^## \[{re.escape(of)}\][^\n]*\n(.*?)(?=^## \[|\Z)", text, re.M | re.S)
    if found is None or not found[1].strip():
        raise NoRelease(
            f"CHANGELOG.md: found no section [{of}] (accepted: rename [Unreleased], or the version in pyproject.toml)"
        )
    return found[1].strip() + "\n"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def make(into: Path, *, sbom: Path | None, unreleased: bool) -> list[Path]:
    """Make everything in a folder, which is emptied first; return the files."""
    number = version()
    told = changes((ROOT / "CHANGELOG.md").read_text("utf-8"), "Unreleased" if unreleased else number)
    if not unreleased and (left := _git("status", "--porcelain")):
        raise NoRelease(f"not committed: {left.split()[1]} and perhaps others (accepted: a tree without changes)")
    into = into.resolve()  # it is built in another folder
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    # What is committed, and nothing else that lies about.
    archive = into / f"vigie-{number}-image-context.tar.gz"
    _git("archive", "--format=tar.gz", f"--prefix=vigie-{number}/", "-o", str(archive), "HEAD")
    # As `helm package` makes it: a folder of the chart's name, whose version is the program's.
    _git("archive", "--format=tar.gz", "--prefix=vigie/", "-o", str(into / f"vigie-chart-{number}.tgz"), "HEAD:deploy/helm/vigie")
    source = into / "source"
    source.mkdir()
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(source), "--strip-components=1"], check=True)
    for kind in ("sdist", "wheel"):  # one process each: setuptools does not forget the first
        build = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
        subprocess.run([sys.executable, "-c", build, str(into)], cwd=source, check=True, capture_output=True)
    shutil.rmtree(source)
    (into / "CHANGES.md").write_text(told, "utf-8")
    if sbom is not None:
        shutil.copy(sbom, into / f"vigie-{number}.cdx.json")
    made = sorted(path for path in into.iterdir() if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (into / "SHA256SUMS").write_text(sums, "utf-8")
    return [*made, into / "SHA256SUMS"]


def main() -> int:
    """Run; the exit code is 1 where there can be no release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=ROOT / "dist")
    parser.add_argument("--sbom", type=Path)
    parser.add_argument("--unreleased", action="store_true")
    asked = parser.parse_args()
    try:
        made = make(asked.into, sbom=asked.sbom, unreleased=asked.unreleased)
    except NoRelease as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"{path}  {path.stat().st_size:,} bytes" for path in made))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
