"""How does a peer on the JVM come to this machine? Its jars by Maven, its classes by ``javac``, once, in ``build/streams``."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.kafka_broker import ROOT

SOURCE = ROOT / "bench" / "streams"
BUILT = ROOT / "build" / "streams"


def command(brokers: str, topic: str, events: int, threads: int = 1) -> list[str]:
    """Return how the small job is run on Kafka Streams. Raises ``RuntimeError`` where no JDK or no Maven is there."""
    classes = _built()
    path = f"{classes}{os.pathsep}{BUILT / 'libs'}/*"
    return ["java", "-Xmx1g", "-cp", path, "SmallJob", brokers, topic, str(events), str(threads)]


def _built() -> Path:
    classes = BUILT / "classes"
    mark = BUILT / ".made"
    if mark.exists() and mark.stat().st_mtime >= (SOURCE / "SmallJob.java").stat().st_mtime:
        return classes
    for tool in ("javac", "mvn"):
        if shutil.which(tool) is None:
            raise RuntimeError(f"Kafka Streams: found no {tool}; a JDK and Maven make it")
    BUILT.mkdir(parents=True, exist_ok=True)
    fetch = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(SOURCE / "pom.xml"),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={BUILT / 'libs'}",
    ]
    compile_ = ["javac", "-nowarn", "-cp", f"{BUILT / 'libs'}/*", "-d", str(classes), str(SOURCE / "SmallJob.java")]
    for step in (fetch, compile_):
        result = subprocess.run(step, capture_output=True, text=True, timeout=600, check=False)
        if result.returncode:
            raise RuntimeError(f"Kafka Streams: {' '.join(step[:3])}: {(result.stdout + result.stderr)[-1500:]}")
    mark.touch()
    return classes
