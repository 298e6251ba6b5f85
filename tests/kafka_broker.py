"""How do tests and bench get a real Kafka?

Apache Kafka (KRaft, one node) from Maven's jars, on free ports of the loopback, in a directory of its own. The jars are
fetched once into ``.kafka/libs`` (``deploy/kafka-test/pom.xml`` names the version). ``python -m tests.kafka_broker`` runs one in
the foreground and prints its address.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import AdminClient

ROOT = Path(__file__).resolve().parent.parent
POM = ROOT / "deploy" / "kafka-test" / "pom.xml"
LIBS = ROOT / ".kafka" / "libs"

# A short session of the broker with its controller: after kill -9 it may only register again when the old one is over.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
group.min.session.timeout.ms=1000
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=2000
"""
_LOGGING = """\
Configuration:
  status: error
  Appenders:
    Console: {name: C, PatternLayout: {pattern: "%d %p %c %m%n"}}
  Loggers:
    Root: {level: warn, AppenderRef: {ref: C}}
"""


class Unavailable(Exception):
    """Java, Maven or the jars are missing: no real Kafka on this machine."""


def jars() -> Path:
    """The directory of Kafka's jars, fetched by Maven if need be. Raises :class:`Unavailable`."""
    if shutil.which("java") is None:
        raise Unavailable("no java on the PATH (Java 17 or later runs Kafka)")
    if not any(LIBS.glob("kafka_*.jar")):
        if shutil.which("mvn") is None:
            raise Unavailable(f"no mvn on the PATH, and no jars in {LIBS.relative_to(ROOT)}")
        # Into a directory beside, then renamed: an interrupted download must not look like a complete one.
        part = LIBS.with_name(f"libs.{os.getpid()}")
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={part}"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if result.returncode:
            shutil.rmtree(part, ignore_errors=True)
            raise Unavailable(f"mvn could not fetch Kafka's jars: {(result.stdout + result.stderr)[-800:]}")
        with contextlib.suppress(OSError):  # another process was quicker
            part.rename(LIBS)
        shutil.rmtree(part, ignore_errors=True)
    return LIBS


def free_port() -> int:
    """A port that nobody listens on, below the range the system takes client ports from: free again after a kill."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class KafkaBroker:
    """One broker. It keeps its port and its data over :meth:`kill` and :meth:`start`; :meth:`close` removes the data."""

    def __init__(self, directory: Path | None = None, *, heap: str = "1g", measured: bool = False, **properties: str) -> None:
        """``measured``: compiled as in production. Else it starts with a fifth less work, which is all that tests ask of it."""
        self._libs = jars()
        self._java_options = ("-XX:TieredStopAtLevel=4",) if measured else ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        self._own = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="vigie-kafka-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._heap = heap
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = self.directory / "server.properties"
        text = _PROPERTIES.format(port=self.port, controller=free_port(), data=self.directory / "data")
        text += "".join(f"{key.replace('_', '.')}={value}\n" for key, value in properties.items())
        self._settings.write_text(text)
        (self.directory / "log4j2.yaml").write_text(_LOGGING)
        self._format(self.directory / "data")

    def _format(self, data: Path) -> None:
        """Format the broker's storage: the first one of a version by Kafka's tool (a JVM of its own), the others as copies."""
        (jar,) = self._libs.glob("kafka-server-common-*.jar")
        formatted = LIBS.with_name(f"formatted-{jar.stem}")
        if formatted.exists():
            shutil.copytree(formatted, data)
            return
        self._java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(self._settings))
        part = formatted.with_name(f"{formatted.name}.{os.getpid()}")
        shutil.copytree(data, part)
        with contextlib.suppress(OSError):  # another process was quicker
            part.rename(formatted)
        shutil.rmtree(part, ignore_errors=True)

    def _command(self, main: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.yaml'}"
        heap = f"-Xmx{self._heap}"
        return ["java", heap, *self._java_options, logging, "-cp", f"{self._libs}/*", main, *arguments]

    def _java(self, main: str, *arguments: str) -> None:
        result = subprocess.run(self._command(main, *arguments), capture_output=True, text=True, timeout=600, check=False)
        if result.returncode:
            raise RuntimeError(f"{main}: {(result.stdout + result.stderr)[-800:]}")

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self, patience: float = 180.0) -> "KafkaBroker":
        """Start, and wait until it answers."""
        if self._process is not None:
            return self
        with (self.directory / "broker.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._settings)),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        end = time.monotonic() + patience
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                tail = (self.directory / "broker.log").read_text(errors="replace")[-2000:]
                self.kill()
                raise RuntimeError(f"Kafka did not start: {tail}")
            time.sleep(0.1)
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
        try:
            return bool(AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=3).brokers)
        except confluent_kafka.KafkaException:
            return False

    def kill(self) -> None:
        """``kill -9``: what was not on the disk may be gone, the ports are free, the data stays."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """An orderly end; the data stays."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End it and remove what it kept."""
        self.kill()
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> "KafkaBroker":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()


def main() -> int:
    """Run a broker until interrupted."""
    try:
        broker = KafkaBroker()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
    with broker:
        print(broker.bootstrap, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
