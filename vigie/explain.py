"""``vigie kpis explain`` and ``reconcile``, as far as a running instance is asked: why is this number so?"""

import sys
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from alert_rules.words.durations import plural
from alert_rules.words.words import Words
from vigie import remote
from vigie.common import local_time, plain, refuse, wrapped
from vigie.kpi_lines import cells, shown

_PATIENCE = 120.0  # seconds: all that the folds have written is read
_PAGE = 1_000
_SHOWN = 20

_DEFINITIONS = {
    "created_date_cohort": "of those created in the window",
    "currency_of_today": "at the exchange rate of that moment",
    "reopened_counted_twice": "each close of what was reopened",
}


def ask(url: str, kpi: str, what: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Return what the instance answers; leave with what is wrong."""
    path = f"/api/kpis/{urllib.parse.quote(kpi, safe='')}/{what}?{urllib.parse.urlencode(query)}"
    try:
        found = remote.ask("GET", url + path, timeout=_PATIENCE)
    except remote.RemoteRefused as error:
        refuse(f"{error.status}: {error}" if error.status else f"{url}: {error}", 2 if error.status == 400 else 1)
    if not isinstance(found, dict):
        refuse(f"{url}{path}: not an answer of Vigie")
    return found


def counted(url: str, kpi: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the deals and leads that a figure counts, all pages of one instant."""
    page = {**query, "limit": str(_PAGE), "offset": "0"}
    while True:
        found = ask(url, kpi, "deals", page)
        yield from found["deals"]
        if found["next"] is None:
            return
        page |= {"at": found["at"], "offset": str(int(page["offset"]) + len(found["deals"]))}


def export(url: str, kpi: str, query: Mapping[str, str], file: Path) -> int:
    """Write the deals and leads that a figure counts as CSV; return its size in bytes, or leave with what is wrong."""
    path = f"/api/kpis/{urllib.parse.quote(kpi, safe='')}/deals?{urllib.parse.urlencode({**query, 'format': 'csv'})}"
    try:
        status, body = remote.fetch("GET", url + path, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        refuse(f"{url}: no proper answer: {error}")
    if status >= 300:
        refuse(f"{status}: {remote.reason_of(body)}", 2 if status == 400 else 1)
    try:
        file.write_bytes(body)
    except OSError as error:
        refuse(f"--csv {file}: {error.strerror}")
    return len(body)


def show(found: Mapping[str, Any], deals: Sequence[Mapping[str, Any]], told: Words) -> None:
    """Print an explanation as people read it."""
    reading, unit = found["reading"], found["unit"]
    currency = reading.get("currency", "")
    print(plain(wrapped(f"{found['label'].get(told.language.code, found['label']['en'])} ({found['kpi']})", 0)))
    print(plain(wrapped(found["definitions"].get(told.language.code, found["definition"]), 0)))
    print(plain(wrapped(f"\n{found['formula']}", 4)))
    segment = ", ".join(told.place(*pair) for pair in reading["segment"].items()) or told.TOTAL
    print(
        plain(f"\n{told.window_name(reading['window'])}, {segment}: {local_time(reading['from'])} to {local_time(reading['at'])}")
    )
    name, value, of, rest = cells(reading, split=False, told=told)
    print(plain(wrapped("  ".join(part for part in (f"  {name}", value, of, rest) if part))))
    if found.get("interval"):
        print(plain(wrapped(f"  interval: {found['interval']}")))
    for text in found["kept"]:
        print(plain(wrapped(f"  {text}")))

    print("\nmade of")
    for one in found["measures"]:
        listed = f", listed one by one: {_number(one['listed'])}" if "listed" in one else f" ({one['not_listed']})"
        why = f" ({one['why']})" if "why" in one else ""
        head = f"  {one['part']:11}  {one['measure']} {one['asked']}: {_number(one.get('value'))}{why}{listed}"
        print(plain(wrapped(head, 15)))
    count = found["counted"]
    if count["deals"] or count["leads"]:
        print(
            plain(
                f"  counts {plural(format(count['deals'], ','), 'deal')} and {plural(format(count['leads'], ','), 'lead')}"
                + _others(count)
            )
        )
    if not found["whole"]:
        print(plain(wrapped("  the list does not come to all of it: of deals with many facts the oldest are kept as sums")))

    print("\nevents")
    print(plain(wrapped(f"  count: {', '.join(found['events']['counting'])}", 9)))
    if found["events"]["correcting"]:
        print(plain(wrapped(f"  correct: {', '.join(found['events']['correcting'])}", 11)))
    refused = found["events"].get("refused")
    if refused is not None:
        for kind, reasons in refused.items():
            text = ", ".join(f"{number:,} {reason}" for reason, number in reasons.items())
            print(plain(wrapped(f"  refused: {kind or 'of no type that can be read'}: {text}", 11)))
        if not refused:
            print(f"  refused: none since {found['events']['refused_since'][:10]}")
        if not found["events"]["refused_whole"]:
            print("  (the newest 20,000 dead letters were looked at)")

    if found["differences"]:
        print("\na CRM may count otherwise")
        for one in found["differences"]:
            text = shown(one["value"], unit, currency) if one["value"] is not None else f"– ({one['why']})"
            other = f", {one['count_otherwise']:,} count otherwise" + (
                f" ({', '.join(one['examples'])})" if one.get("examples") else ""
            )
            print(plain(wrapped(f"  {_DEFINITIONS.get(one['definition'], one['says'])}: {text}{other}")))
    if found.get("readings"):
        print(f"\nby {next(iter(found['readings'][0]['segment']))}")
        lines = [cells(one, split=True, told=told) for one in found["readings"]]
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        for name, value, of, rest in lines:
            print(plain(f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {of:>{widths[2]}}  {rest}".rstrip()))
    if deals:
        print("\nthe latest that count")
        for deal in deals[:_SHOWN]:
            print(plain(_deal(deal)))


def _others(count: Mapping[str, Any]) -> str:
    return f"; {count['of_others_now']:,} more are others' now" if count["of_others_now"] else ""


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _deal(deal: Mapping[str, Any]) -> str:
    amount = "" if deal["amount"] is None else f"{deal['amount']:,.2f} {deal['currency']}"
    parts = (
        deal["counted_at"][:10],
        deal["name"] or deal["id"],
        deal["status"],
        amount,
        deal["owner_name"] or "",
        deal["link"] or "",
    )
    return "  " + "  ".join(part for part in parts if part)


def as_json(found: Any) -> None:
    """Write an answer to standard output."""
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()
