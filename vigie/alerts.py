"""``vigie alerts``: the alerts of a running instance: see, acknowledge, silence."""

import sys
import urllib.parse
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from alert_rules.words.inert import visible
from alert_rules.words.language import SOURCE, Language, languages
from vigie import remote
from vigie.common import local_time, plain, refuse, settings_of, wrapped
from vigie.remote import TokenFile, Url

app = typer.Typer(help="The alerts of a running instance: see, acknowledge, silence.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (default: vigie.yaml or VIGIE_CONFIG).")]
Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]
Id = Annotated[str, typer.Argument(help="An id, as the lists show it.")]


def call(method: str, path: str, *, url: str | None, config: Path | None, token: str = "", body: Any = None) -> Any:
    """Return what a running instance answers; leave with what is wrong otherwise."""
    return remote.call(method, path, url=remote.address_of(url, config), token=token, body=body)


def _act(method: str, path: str, url: str | None, config: Path | None, token_file: Path | None, body: Any = None) -> None:
    """Do what needs an operator, and print the answer."""
    where = remote.address_of(url, config)
    _print(remote.call(method, path, url=where, token=remote.token_of(token_file, where), body=body))


def _print(tree: Any) -> None:
    sys.stdout.write(visible(orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode()) + "\n")


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


@app.command("list")
def list_command(json: Json = False, url: Url = None, config: Config = None) -> None:
    """List the alerts that stand."""
    language = languages()[SOURCE if url is not None else settings_of(config).business.language]
    query = "" if language.code == SOURCE else f"?language={language.code}"
    found = call("GET", f"/api/alerts{query}", url=url, config=config)
    if json:
        _print(found)
        return
    say = partial(language.say, of="tables")
    if not found:
        print(say("no_alert"))
    for alert in found:
        ack, held = (alert.get("acknowledged") or {}).get("by"), [one["stage"] for one in alert.get("held") or []]
        grade = language.find(f"grades.{alert.get('severity')}") or alert.get("severity")
        state = language.find(f"states.{alert.get('state')}", "tables") or alert.get("state")
        words = [str(grade), str(state), say("since", at=local_time(str(alert.get("since"))))]
        words += [say("in_hands", who=ack)] * bool(ack) + [say("held", stages=", ".join(held))] * bool(held)
        print(wrapped(plain(f"{alert.get('id')}  {', '.join(words)}")))
        print(wrapped(plain(f"    {alert.get('summary') or _named(alert, language)}")))


def _named(alert: dict[str, Any], language: Language) -> str:
    """Return what an alert without words is about."""
    place = ", ".join(f"{language.dimension(name)} {value}" for name, value in (alert.get("segment") or {}).items())
    return f"{alert.get('title') or alert.get('rule')}{f': {place}' if place else ''}"


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
    _act("POST", f"/api/alerts/{_quoted(id)}/ack", url, config, token_file)


@app.command("unack")
def unack_command(id: Id, url: Url = None, token_file: TokenFile = None, config: Config = None) -> None:
    """Take an acknowledgement back."""
    _act("POST", f"/api/alerts/{_quoted(id)}/unack", url, config, token_file)


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
    _act("POST", "/api/silences", url, config, token_file, body)


@app.command("silences")
def silences_command(url: Url = None, config: Config = None) -> None:
    """List the silences that have not ended, as JSON."""
    _print(call("GET", "/api/silences", url=url, config=config))


@app.command("unsilence")
def unsilence_command(id: Id, url: Url = None, token_file: TokenFile = None, config: Config = None) -> None:
    """End a silence now."""
    _act("DELETE", f"/api/silences/{_quoted(id)}", url, config, token_file)


@app.command("token")
def token_command(url: Url = None, config: Config = None) -> None:
    """Print the token of the instance that this user runs on this machine: what its page asks for."""
    where = remote.address_of(url, config)
    own = remote.here(where)
    if own is None:
        refuse(f"{where}: this user runs no instance there on this machine (accepted: an operator's token, web.operators)")
    print(own.token)


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
    where = remote.address_of(url, config)
    token = remote.token_of(token_file, where, needed=False)
    answer = remote.call("GET", f"/api/alerts/history?{query}", url=where, token=token)
    if json:
        _print(answer)
        return
    for record in reversed(answer["records"]):
        at, what, about, who, why = (" ".join(plain(text or "").split()) for text in record_columns(record))
        print(wrapped(f"{local_time(at)}  {what:<18}  {about}{f'  {who}' if who else ''}{f': {why}' if why else ''}", 18))
    if answer["next"] is not None:
        Console(stderr=True).print(f"older: --before {answer['next']}")


def record_columns(record: dict[str, Any]) -> tuple[Any, Any, Any, Any, Any]:
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
