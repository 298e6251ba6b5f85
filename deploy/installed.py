"""Can what ``make release`` makes be installed, by pip and by pipx, and started? In environments that are removed again.

``python deploy/installed.py dist --tools build/pipx/bin``: run by ``make installed``. pipx fetches all that Vigie runs on, in the
versions of requirements/run.txt. pip is given the libraries that are here already and no index: it refuses where one is missing.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What pip is told by the environment is told to uv by other names, with which pipx installs.
_SAME = {"PIP_FIND_LINKS": "UV_FIND_LINKS", "PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_CERT": "SSL_CERT_FILE"}
_PATIENCE = 600.0  # seconds


def by_pip(wheel: Path, folder: Path) -> Path:
    """Install it with pip; return the command."""
    place = folder / "pip"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(place / "bin" / "python")]
    # Ours may be there already, as those who develop have it: the one of the wheel is installed all the same.
    subprocess.run([*pip, "install", "-q", "--no-index", "--ignore-installed", "--no-deps", str(wheel)], check=True)
    subprocess.run([*pip, "check"], check=True, stdout=subprocess.DEVNULL)
    return place / "bin" / "vigie"


def by_pipx(wheel: Path, folder: Path, tools: Path) -> Path:
    """Install it with pipx, with all that it runs on; return the command."""
    names = {name: str(folder / name.lower()) for name in ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR")}
    told = {name: os.environ[of] for of, name in _SAME.items() if of in os.environ}
    environment = {**os.environ, **told, **names, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    arguments = ["--backend", "uv", "--python", sys.executable, f"--pip-args=-c {ROOT / 'requirements' / 'run.txt'}"]
    subprocess.run([str(tools / "pipx"), "install", *arguments, str(wheel)], check=True, env=environment, capture_output=True)
    return folder / "pipx_bin_dir" / "vigie"


def started(command: Path, folder: Path, version: str) -> None:
    """See that it says its version, and that an instance comes to be ready and ends as asked; raise ``AssertionError``."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    said = subprocess.run([str(command), "--version"], check=True, cwd=folder, env=environment, capture_output=True, text=True)
    assert version in said.stdout, said.stdout
    port = _free_port()
    with open(folder / "up.log", "wb") as log:
        up = [str(command), "up", "--in-memory", "--port", str(port)]
        process = subprocess.Popen(up, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + _PATIENCE
        while not _ready(port):
            assert process.poll() is None and time.monotonic() < end, (folder / "up.log").read_text()
            time.sleep(0.2)
    finally:
        process.terminate()
        assert process.wait(120) == 0, (folder / "up.log").read_text()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return bool(json.load(answer)["ready"])
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def main() -> int:
    """Run; the exit code is 1 where one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dist", type=Path)
    parser.add_argument("--tools", type=Path, required=True, help="where pipx and uv are")
    asked = parser.parse_args()
    [wheel] = asked.dist.resolve().glob("vigie-*.whl")
    version = wheel.name.split("-")[1]
    for name in ("pip", "pipx"):
        folder = Path(tempfile.mkdtemp(prefix=f"vigie-{name}-"))
        try:
            began = time.monotonic()
            command = by_pip(wheel, folder) if name == "pip" else by_pipx(wheel, folder, asked.tools.resolve())
            started(command, folder, version)
            print(f"{wheel.name}: installed by {name}, and started, in {time.monotonic() - began:.0f} s")
        except (AssertionError, subprocess.CalledProcessError) as error:
            told = getattr(error, "stderr", None)
            print(f"{wheel.name}: by {name}: {error}\n{told.decode() if told else ''}", file=sys.stderr)
            return 1
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
