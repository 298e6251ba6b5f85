"""How does a CRM's value become one of the contract's?

A value that is absent is left out, an empty one means cleared. What a value cannot mean is :class:`Unusable`, never guessed.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from models.calendar import epoch_ms, iso
from models.events.refused import Reason
from models.events.scalars import EARLIEST, ID_LENGTH, TEXT_LENGTH, shown
from stream.sources.crm.base import Unusable
from stream.sources.crm.lookup import lookup
from stream.sources.crm.settings import SourceSettings, Stage
from stream.sources.crm.words import flag
from stream.sources.files.ids import damage

_AMOUNTS = ("amount", "cost")
_NUMBERS = ("score", "duration_seconds", "preparation_seconds", "response_seconds", "hours")
_DAYS = ("expected_close_date", "term_end", "day")
_LINKS = ("account_id", "deal_id", "lead_id", "message_id", "session_id", "visitor_id")
#: Fields that say what somebody or something is called.
NAMES = ("name", "first_name", "last_name")
_PAGES = ("page", "referrer")
LATEST = 4_102_444_800_000  # 2100: what is later is a mistake in its unit
_PLAIN = Stage()
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)


def text(value: Any, name: str) -> str | None:
    """Return a value as text, shortened to what the contract takes; None for an empty one."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | int | float):
        return str(value).strip()[:TEXT_LENGTH] or None
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ";".join(value)[:TEXT_LENGTH] or None
    raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is text or a number")


def identifier(value: Any, name: str, *, whole: bool = False) -> str:
    """Return an id: a non-empty text or a whole number. What cannot be one is refused, as it would be many records' at once.

    ``whole``: ids of this sender are whole numbers, so that less is enough to show what a spreadsheet has changed.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # JSON does not tell 7.0 from 7
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is an id, as text or a whole number")
    found = str(value).strip()
    wrong = damage(found, whole=whole)
    if wrong is None and isinstance(value, int) and value < 0:
        wrong = f"found {value}, which no id is"
    if wrong is not None:
        raise Unusable(Reason.INVALID_DATA, f"{name}: {wrong[:400]}")
    return found


def first(*values: Any) -> Any:
    """Return the first value that is there, of those that may say the same; null and the empty text are as good as absent."""
    return next((value for value in values if value is not None and value != ""), None)


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is an object")
    return value


def yes(value: Any) -> bool:
    """Whether a flag is set; what says neither yes nor no is a no."""
    return flag(value) is True


def scaled(value: Any, scale: float, name: str) -> Any:
    """Return a number times ``scale`` as plain text, whether it comes as a number or as text. Empty stays empty."""
    if value is None or value == "":
        return value
    found = str(value).strip()
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(found) > 64 or not _DECIMAL.fullmatch(found):
        raise Unusable(
            Reason.BAD_AMOUNT, f"{name}: found {shown(value)}, accepted where a scale is set is a number, also as text (1234.56)"
        )
    return str(Decimal(found) * Decimal(str(scale)))


def amount(value: Any, name: str = "amount") -> str | int | float | None:
    """Return an amount as the contract takes it (which checks its form); None for an empty one."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unusable(Reason.BAD_AMOUNT, f"{name}: found {shown(value)}, accepted is a number")
    return value


def number(value: Any, name: str) -> float | None:
    """Return a finite number; None for an empty one."""
    if value is None or value == "":
        return None
    try:
        found = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is a number")
    return found


def moment(value: Any, name: str = "time", zone: tzinfo = UTC) -> int:
    """Return epoch milliseconds of an RFC 3339 text, or of epoch seconds or milliseconds, as a number or as digits.

    A time without an offset is in ``zone``: the CRMs that leave it out say that it is UTC.
    """
    if isinstance(value, str):
        found = value.strip()
        if found.isascii() and found.isdigit() and 9 < len(found) < 14:
            value = int(found)
        else:
            try:
                at = datetime.fromisoformat(found)
            except (ValueError, OverflowError):
                raise Unusable(Reason.BAD_TIME, f"{name}: found {shown(value)}, accepted is ISO 8601 or epoch") from None
            return _within(epoch_ms(at if at.tzinfo else at.replace(tzinfo=zone)), value, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unusable(Reason.BAD_TIME, f"{name}: found {shown(value)}, accepted is ISO 8601 or epoch seconds or milliseconds")
    return _within(int(value) if abs(value) >= 10**11 else round(value * 1000), value, name)


def _within(at_ms: int, value: Any, name: str) -> int:
    # Also for what is to be checked again later: with an offset, the year 1 lies before all that a datetime can hold.
    if not EARLIEST <= at_ms <= LATEST:
        raise Unusable(Reason.TIME_OUT_OF_RANGE, f"{name}: found {shown(value)}, accepted is 2000 to 2100")
    return at_ms


def day(value: Any, settings: SourceSettings, name: str) -> str | None:
    """Return a calendar day; an instant is the day it is where the CRM's days begin. None for an empty one."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d([T ]00:00(:00(\.0+)?)?)?", value.strip(), re.ASCII):
        value = value.strip()[:10]  # midnight without an offset is a day in a date-time's clothes
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is a date as in 2026-03-31") from None
    return datetime.fromtimestamp(moment(value, name) / 1000, settings.zone).date().isoformat()


def email_hash(value: Any) -> str | None:
    """Return the SHA-256 of an address in lower case, as trackers hash it: addresses themselves do not go on, a hash does."""
    found = text(value, "email")
    if found is not None and _DIGEST.fullmatch(found):
        return found.lower()
    return None if found is None else hashlib.sha256(found.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()


def page(value: Any) -> str | None:
    """Return an address without its query and fragment, where personal data hides."""
    found = text(value, "page")
    if found is None:
        return None
    try:
        parts = urlsplit(found)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}" if parts.scheme else parts.path or None


def attribute(name: str, value: Any, settings: SourceSettings) -> Any:
    """Return a CRM's value as the field ``name`` of the contract's data has it, through the settings' tables."""
    if name in _AMOUNTS:
        return amount(value, name)
    if name in _NUMBERS:
        return number(value, name)
    if name in _DAYS:
        return day(value, settings, name)
    if name in _LINKS:
        return None if value is None or value == "" else identifier(value, name)
    if name in _PAGES:
        return page(value)
    if name == "email_hash":
        return email_hash(value)
    if name == "count":
        whole = number(value, name)
        return int(whole) if whole is not None and whole.is_integer() else whole
    if name == "opened_at":
        return None if value is None or value == "" else iso(moment(value, name, settings.zone))
    if name == "bant" and isinstance(value, dict):
        return value
    found = text(value, name)
    if found is None:
        return None
    if name == "currency":
        return found.upper()
    if name == "owner":
        return settings.owners.get(found, found)
    if name == "pipeline":
        return settings.pipelines.get(found, found)
    if name == "stage":
        return settings.stages.get(found, _PLAIN).name or found
    return found


def attributes(
    raw: Mapping[str, Any], table: Mapping[str, str], settings: SourceSettings, kind: str = "deal.updated"
) -> dict[str, Any]:
    """Return the attributes that a record of the CRM has: ``table`` and the settings' own ``fields`` say which is which."""
    found: dict[str, Any] = {}
    for field in (*table, *settings.fields):
        if field in raw:
            name = settings.fields.get(field) or table[field]
            found[name] = attribute(name, raw[field], settings)
    return priced(found, settings, kind)


def priced(data: dict[str, Any], settings: SourceSettings, kind: str = "deal.updated") -> dict[str, Any]:
    """Return the data of an event of the type ``kind``, with the source's currency where money comes without one.

    Which currency the deal has is for the fold to know: here it is said as a default. What an event says of no deal (an
    invoice, spend, an ad's cost) has no other one to be in.
    """
    if settings.currency is None or data.get("currency") is not None or all(data.get(name) is None for name in _AMOUNTS):
        return data
    name = "default_currency" if kind.startswith(("deal.", "lead.")) else "currency"
    return data if data.get(name) is not None else {**data, name: settings.currency}


def stage_kind(stage: Any, settings: SourceSettings, known: Mapping[str, str]) -> str:
    """Return whether a deal is ``open``, ``won`` or ``lost`` in a stage of the CRM, by the settings or the CRM's own names."""
    found = text(stage, "stage") or ""
    return settings.stages.get(found, _PLAIN).kind or lookup(found, known) or "open"


#: The type of event that entering a stage of a kind is.
ENTERED = {"open": "deal.stage_changed", "won": "deal.won", "lost": "deal.lost"}


#: What a step of a lead is, by the names that the settings' ``lead_statuses`` use.
LEAD_EVENTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "contacted": ("lead.contacted", {}),
    "mql": ("lead.qualified", {"level": "mql"}),
    "sql": ("lead.qualified", {"level": "sql"}),
    "converted": ("lead.converted", {}),
    "disqualified": ("lead.disqualified", {}),
}


def keeps(name: str, room: str, settings: SourceSettings) -> bool:
    """Whether a field of a ``deal``, ``lead`` or ``customer`` goes on: what people are called may be left out."""
    if settings.names == "all" or name not in NAMES:
        return True
    return settings.names == "deals" and room != "lead"


def event(
    settings: SourceSettings,
    sender: str,
    kind: str,
    subject: str,
    at: int,
    id: str,
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a CloudEvent in structured mode, without the names that the settings leave out."""
    room, told = kind.partition(".")[0], dict(data or {})
    if settings.names != "all":
        told = {name: value for name, value in told.items() if keeps(name, room, settings)}
    return {
        "specversion": "1.0",
        "id": id,
        "source": settings.source or f"crm/{sender}",
        "type": kind,
        "time": iso(at),
        "subject": subject,
        "data": told,
    }


def event_id(*parts: Any) -> str:
    """Return an id from parts that tell the event from every other; the same parts always give the same id."""
    texts = ["" if part is None else str(part) for part in parts]
    found = ":".join(quote(part, safe="/-_.~ @+=") for part in texts)
    if len(found) <= ID_LENGTH and found.isprintable():
        return found
    return f"{texts[0]}:{hashlib.sha256(orjson.dumps(texts)).hexdigest()}"


def fingerprint(value: Any) -> str:
    """Return a short mark of a value, to tell facts apart in their ids: the value itself may be somebody's address."""
    return hashlib.sha256(("" if value is None else str(value)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def second(value: Any, name: str = "time") -> int:
    """Return the whole second (epoch) in which a moment lies: exports have no milliseconds."""
    return moment(value, name) // 1000
