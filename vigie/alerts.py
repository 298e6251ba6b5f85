"""``vigie alerts``: the alerts of a running instance: see, acknowledge, silence."""

import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from alert_rules.inert import visible
from vigie.common import cell, plain, refuse, settings_of

app = typer.Typer(help="The alerts of a running instance: see, acknowledge, silence.", no_args_is_help=True)
_TIMEOUT = 10.0  # seconds

Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (default: vigie.yaml or VIGIE_CONFIG).")]
Url = Annotated[str | None, typer.Option(help="Where the instance listens (default: from the settings).")]
Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]
Id = Annotated[str, typer.Argument(help="An id, as the lists show it.")]
TokenFile = Annotated[
    Path | None, typer.Option(help="A file that holds the operator's token (default: the variable VIGIE_TOKEN).")
]


def call(method: str, path: str, *, url: str | None, config: Path | None, token: str = "", body: Any = None) -> Any:
    """Return what a running instance answers; leave with what is wrong otherwise."""
    if url is None:
        web = settings_of(config).web
        host = web.host if web.host not in ("0.0.0.0", "::", "") else "127.0.0.1"
        url = f"http://{host}:{web.port}"
    if not url.startswith(("http://", "https://")):
        refuse(f"--url: found {url!r} (accepted: http://host:port)", 2)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    sent = None if body is None else orjson.dumps(body)
    request = urllib.request.Request(url.rstrip("/") + path, data=sent, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(65_536)
        try:
            why = orjson.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            why = error.reason
        refuse(f"{method} {path}: {error.code}: {why}")
    except (OSError, ValueError) as error:
        refuse(f"{url}: no proper answer: {error}")


def _token(file: Path | None, *, needed: bool = True) -> str:
    try:
        token = file.read_text("utf-8").strip() if file is not None else os.environ.get("VIGIE_TOKEN", "")
    except OSError as error:
        refuse(f"--token-file: cannot be read: {error}", 2)
    if not token and not needed:
        return ""
    if not token or not token.isascii() or not token.isprintable():
        refuse("no usable token (accepted: VIGIE_TOKEN, or --token-file FILE)", 2)
    return token


def _print(tree: Any) -> None:
    sys.stdout.write(visible(orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode()) + "\n")


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


@app.command("list")
def list_command(json: Json = False, url: Url = None, config: Config = None) -> None:
    """List the alerts that stand."""
    found = call("GET", "/api/alerts", url=url, config=config)
    if json:
        _print(found)
        return
    names = ("severity", "state", "rule", "segment", "since", "acknowledged", "held by")
    table = Table(Column("id", no_wrap=True), *(Column(name, overflow="fold") for name in names))
    for alert in found:
        place = ", ".join(f"{k}={v}" for k, v in (alert.get("segment") or {}).items()) or "total"
        ack = (alert.get("acknowledged") or {}).get("by", "")
        held = ", ".join(one["stage"] for one in alert.get("held") or [])
        table.add_row(
            *map(cell, (*(alert.get(k) or "" for k in ("id", "severity", "state", "rule")), place, alert.get("since"), ack, held))
        )
    Console().print(table)


@app.command("show")
def show_command(id: Id, url: Url = None, config: Config = None) -> None:
    """Show one alert, as JSON: who was told, what holds it back, who takes care."""
    for alert in call("GET", "/api/alerts", url=url, config=config):
        if alert.get("id") == id:
            _print(alert)
            return
    refuse(f"no alert stands with the id {id!r}")


@app.command("ack")
def ack_command(id: Id, url: Url = None, token_file: TokenFile = None, config: Config = None) -> None:
    """Acknowledge an alert: it is not repeated and does not escalate."""
    _print(call("POST", f"/api/alerts/{_quoted(id)}/ack", url=url, config=config, token=_token(token_file)))


@app.command("unack")
def unack_command(id: Id, url: Url = None, token_file: TokenFile = None, config: Config = None) -> None:
    """Take an acknowledgement back."""
    _print(call("POST", f"/api/alerts/{_quoted(id)}/unack", url=url, config=config, token=_token(token_file)))


@app.command("silence")
def silence_command(
    matchers: Annotated[list[str], typer.Argument(help="Such as team=sales rule=~win-.*")],
    duration: Annotated[str, typer.Option("--for", help="For how long, such as 2h.")],
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
) -> None:
    """Be quiet about the alerts that match all of the matchers."""
    body = {"matchers": matchers, "duration": duration, "comment": comment}
    _print(call("POST", "/api/silences", url=url, config=config, token=_token(token_file), body=body))


@app.command("silences")
def silences_command(url: Url = None, config: Config = None) -> None:
    """List the silences that have not ended, as JSON."""
    _print(call("GET", "/api/silences", url=url, config=config))


@app.command("unsilence")
def unsilence_command(id: Id, url: Url = None, token_file: TokenFile = None, config: Config = None) -> None:
    """End a silence now."""
    _print(call("DELETE", f"/api/silences/{_quoted(id)}", url=url, config=config, token=_token(token_file)))


@app.command("history")
def history_command(
    incident: Annotated[str, typer.Option(help="Only this incident.")] = "",
    rule: Annotated[str, typer.Option(help="Only this rule (of transitions).")] = "",
    type: Annotated[str, typer.Option(help="Only these, with commas: transition, decision, act, notification.")] = "",
    by: Annotated[str, typer.Option(help="Only this operator's acts.")] = "",
    limit: Annotated[int, typer.Option(help="So many, the latest.", min=1, max=500)] = 50,
    before: Annotated[int | None, typer.Option(help="Only what is older than this offset.")] = None,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
) -> None:
    """Show what happened to alerts, what was decided and done by whom, and who was told, oldest first."""
    asked = {"incident": incident, "rule": rule, "type": type, "by": by, "limit": limit, "before": before}
    query = urllib.parse.urlencode({name: value for name, value in asked.items() if value not in ("", None)})
    answer = call("GET", f"/api/alerts/history?{query}", url=url, config=config, token=_token(token_file, needed=False))
    if json:
        _print(answer)
        return
    for record in reversed(answer["records"]):
        at, what, about, who, why = (" ".join(plain(text or "").split()) for text in told(record))
        sys.stdout.write(f"{at:<24}  {what:<22}  {about}{f'  {who}' if who else ''}{f': {why}' if why else ''}\n")
    if answer["next"] is not None:
        Console(stderr=True).print(f"older: --before {answer['next']}")


def told(record: dict[str, Any]) -> tuple[Any, Any, Any, Any, Any]:
    """Return when, what, about which incident, who and why, of a record of the topic ``alerts``."""
    several = record.get("incidents") or ()
    about = record.get("incident") or ", ".join(several[:2]) + (f" and {len(several) - 2} more" if len(several) > 2 else "")
    match record.get("type"):
        case "act":
            return (
                record.get("at"),
                record.get("act"),
                about or record.get("id"),
                record.get("by"),
                f"over {record.get('via', 'api')}",
            )
        case "decision":
            who = ", ".join(record.get("receivers") or ())
            return record.get("at"), f"{record.get('outcome')} ({record.get('stage')})", about, who, record.get("reason")
        case "notification":
            return record.get("at"), record.get("outcome"), about, record.get("receiver"), record.get("reason")
        case _:
            return (
                record.get("at"),
                f"{record.get('kind')} ({record.get('severity')})",
                about,
                record.get("rule"),
                record.get("reason"),
            )
