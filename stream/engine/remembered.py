"""What does the topic `erasures` say: who was erased, and what is under way?"""

from typing import Any

import msgspec

from models.privacy.certificate import SALT, TOPIC, WORK, Certificate, decode
from models.privacy.refusals import Refusals
from stream.engine.backend import Partition
from stream.engine.erasing import refused
from stream.engine.options import EngineOptions
from stream.engine.restore import first_and_last, read_through
from stream.engine.topic_settings import Before


class Work(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is under way: ``settings`` are to be as before, ``cuts`` say before which offset nothing is to be left.

    ``sizes`` are the bytes that there were, ``copied`` those with the copies (topic, partition, broker); None: nobody has looked.
    ``since`` is when it was cut (epoch ms).
    """

    settings: Before
    cuts: list[tuple[str, int, int]] = []
    sizes: list[tuple[str, int, int, int]] | None = None
    copied: list[tuple[str, int, int, int]] | None = None
    since: int = 0


_work = msgspec.json.Decoder(Work).decode


class Remembered(msgspec.Struct):
    """What the topic ``erasures`` holds: the installation's salt (None: none yet), certificates, and what is under way."""

    salt: bytes | None
    certificates: list[Certificate]
    work: Work | None

    def refusals(self) -> Refusals:
        """Return who is refused."""
        return Refusals(bytes.fromhex((self.salt or b"00").decode()), refused(self.certificates))


def remembered(options: EngineOptions) -> Remembered:
    """Read the topic ``erasures``; raise ``KafkaException`` where it cannot be."""
    found: dict[bytes, bytes] = {}

    def take(_: Partition, message: Any) -> None:
        key, value = message.key() or b"", message.value()
        if value is None:
            found.pop(key, None)
        else:
            found[key] = value

    read_through(options, first_and_last(options, [(options.physical(TOPIC), 0)]), take, lambda: False)
    salt, work = found.pop(SALT, None), found.pop(WORK, None)
    certificates = sorted(map(decode, found.values()), key=lambda one: (one.asked, one.id))
    return Remembered(salt, certificates, None if work is None else _work(work))
