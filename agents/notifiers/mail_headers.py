"""How does a header leave, so that every mail program reads what was meant?

The standard library folds message ids that are long into encoded words, which mail programs drop, and its folding of subjects
now and then makes an empty encoded word or loses a blank. The headers that matter are written here (RFC 5322, RFC 2047).
"""

import re
from collections.abc import Sequence
from email.header import Header
from email.policy import EmailPolicy
from email.utils import formataddr

#: Lines are folded at this length where there is a blank; none may be longer than 998 (RFC 5322).
_FOLDED = 76
_AT_BLANK = re.compile(r" (?=[^ ])")
_END = "\r\n"


class MailPolicy(EmailPolicy):
    """SMTP's, but for the headers that are already as they are to leave; bodies are 7 bits, which every server takes."""

    WRITTEN = frozenset(("from", "to", "subject", "message-id", "in-reply-to", "references"))

    def header_store_parse(self, name: str, value: str) -> tuple[str, str]:
        """Keep what is written already as it is."""
        return (name, value) if name.lower() in self.WRITTEN else super().header_store_parse(name, value)

    def fold(self, name: str, value: str) -> str:
        """Return the header's lines."""
        return f"{name}: {value}{_END}" if name.lower() in self.WRITTEN else str(super().fold(name, value))

    def fold_binary(self, name: str, value: str) -> bytes:
        """Return the header's lines."""
        return self.fold(name, value).encode("ascii") if name.lower() in self.WRITTEN else super().fold_binary(name, value)


POLICY = MailPolicy(linesep=_END, cte_type="7bit")


def text(value: str, name: str) -> str:
    """Return a text (one line, no blanks at its ends or beside each other) as the value of the header ``name``."""
    if value.isascii() and "=?" not in value:
        return _folded(value, len(name) + 2)
    return Header(value, "utf-8", maxlinelen=_FOLDED - 1, header_name=name).encode(linesep=_END)


def addresses(given: Sequence[tuple[str, str]], name: str) -> str:
    """Return addresses (name, address) as the value of the header ``name``, one a line."""
    return f",{_END} ".join(_address(one, address, name) for one, address in given)


def _address(name: str, address: str, header: str) -> str:
    if name.isascii() and "=?" not in name:
        return formataddr((name, address))
    return f"{text(name, header)}{_END} <{address}>"


def _folded(value: str, used: int) -> str:
    """Break a text at blanks, which stay: what is folded is unfolded by taking the line's end away."""
    lines = [""]
    for word in _AT_BLANK.split(value):
        room = _FOLDED - (used if len(lines) == 1 else 1)
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return f"{_END} ".join(lines)
