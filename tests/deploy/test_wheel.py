"""Is Vigie a good neighbour? Its wheel, in an environment that has packages of its rooms' names already."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("models", "alert_rules", "stream", "agents")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without the network, from a copy: what a build leaves behind stays out of the tree."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for room in (*ROOMS, "vigie", "docs/runbooks"):
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    build = [*pip(), "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(source / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    [found] = (source / "dist").glob("vigie-*.whl")
    return found


def pip() -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]


@pytest.fixture(scope="module")
def beside(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with others' packages of these names, and the libraries of ours."""
    place = tmp_path_factory.mktemp("beside") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for room in ROOMS[:3]:
        (packages / room).mkdir()
        (packages / room / "__init__.py").write_text('WHOSE = "theirs"\n')
    (packages / "agents.py").write_text('WHOSE = "theirs"\n')
    install = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, text=True)
    return place


def run(beside: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    found = [str(beside / "bin" / command[0]), *command[1:]]
    return subprocess.run(found, cwd=cwd, capture_output=True, text=True, timeout=600, env={"PATH": "/usr/bin:/bin"})


def test_the_wheel_takes_one_name_and_has_what_is_read_at_run_time(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"vigie"}
    for room in (*ROOMS, "vigie"):
        files = [path.relative_to(ROOT).as_posix() for path in (ROOT / room).rglob("*") if path.is_file()]
        ours = [name for name in files if "__pycache__" not in name]
        wanted = {name if room == "vigie" else f"vigie/_rooms/{name}" for name in ours}
        assert wanted <= set(names)
    assert {f"vigie/_rooms/alert_rules/runbooks/{page.name}" for page in (ROOT / "docs" / "runbooks").glob("*.md")} <= set(names)


@pytest.mark.parametrize("start", [("vigie",), ("python", "-m", "vigie")])
def test_it_runs_beside_others_of_these_names(beside: Path, tmp_path: Path, start: tuple[str, ...]) -> None:
    (tmp_path / "models").mkdir()  # and beside what is in the folder it is started in
    (tmp_path / "models" / "__init__.py").write_text("raise SystemExit('theirs')\n")
    checked = run(beside, *start, "rules", "check", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr
    assert "rules are sound" in checked.stderr


def test_a_worker_runs_beside_others(beside: Path, tmp_path: Path) -> None:
    """Everything that a worker imports, Faust's aliases by name included, and the files that it reads."""
    program = (
        "import vigie, asyncio\n"
        "from stream.config.settings import load\n"
        "from vigie.running import running\n"
        "async def main():\n"
        "    async with running(load(environ={}, kafka__brokers='embedded', kafka__partitions=1)) as instance:\n"
        "        await instance.engine.ready(30)\n"
        "        print(instance.engine.driver.state)\n"
        "asyncio.run(main())\n"
    )
    found = run(beside, "python", "-c", program, cwd=tmp_path)
    assert found.stdout == "running\n", found.stderr


def test_others_keep_what_is_theirs(beside: Path, tmp_path: Path) -> None:
    program = "; ".join(f"import {room}; print({room}.WHOSE)" for room in ROOMS)
    assert run(beside, "python", "-c", program, cwd=tmp_path).stdout.split() == ["theirs"] * 4


@pytest.mark.parametrize("room", ROOMS)
def test_a_process_that_has_theirs_already_is_told_what_to_do(beside: Path, tmp_path: Path, room: str) -> None:
    found = run(beside, "python", "-c", f"import {room}, vigie", cwd=tmp_path)
    assert found.returncode == 1
    last = found.stderr.strip().split("\n")[-1]
    assert last.startswith(f"ImportError: vigie: the module {room!r} of this process is /")
    assert "Import vigie first, or run it in a process of its own" in last
