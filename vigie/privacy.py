"""``vigie privacy``: what personal data is kept, all that is held of somebody, and erasing them."""

import asyncio
import getpass
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import orjson
import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table

from models.privacy.certificate import TOPIC
from models.privacy.fields import Personal
from models.privacy.requests import TOPIC as REQUESTS
from models.privacy.subject import Subject
from stream.config.settings import Settings
from stream.engine import register
from stream.engine.backend import Superseded
from stream.engine.erasing import AskedBy, ErasureResult
from stream.engine.kafka_erasing import EraseRefused, KafkaPrivacy
from stream.engine.options import EngineOptions
from stream.engine.topics import check, summary
from stream.ingest.event_ids import seen_of
from stream.ledger.erasing import LedgerPrivacy
from stream.ledger.lock import LedgerTaken
from stream.ledger.log_reader import LedgerError
from stream.ledger.on_ledger import OnLedger
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from stream.readings.cache import Snapshots
from vigie import held, processing, remote
from vigie.auditing import note
from vigie.common import Config, cell, console, local_time, no_broker, plain, refuse, settings_of, wrapped
from vigie.lanes import engine_options
from vigie.ledger import place
from vigie.privacy_api import Caches, InSettings, as_kept, carried_out, checked, not_named
from vigie.remote import TokenFile, Url
from vigie.topics import plan

app = typer.Typer(no_args_is_help=True, help="Personal data: what is kept, all that is held of somebody, and erasing them.")

_PATIENCE = 3_600.0  # seconds: a large ledger is written anew

Lead = Annotated[str | None, typer.Option(help="A lead's id, as events have it: also who was merged with it, and its visitors.")]
Deal = Annotated[str | None, typer.Option(help="A deal's id.")]
Customer = Annotated[str | None, typer.Option(help="A customer's (account's) id.")]
Visitor = Annotated[str | None, typer.Option(help="A visitor's id.")]
Owner = Annotated[str | None, typer.Option(help="Who sells: an owner's id.")]
Email = Annotated[str | None, typer.Option("--email-hash", help="All leads of an address, by its hash as events have it.")]
Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]


@app.command("register")
def register_command(json: Json = False, config: Config = None) -> None:
    """Say which fields are personal data, why and where they are kept, how long, and what an erasure does there."""
    document = register.document(settings_of(config).business.business())
    if json:
        _write(document)
        return
    order = [str(one) for one in Personal]
    fields = sorted(document["fields"].items(), key=lambda item: (order.index(item[1]["personal"]), item[0]))
    kept_as = "erased_without_kafka" if settings_of(config).kafka.embedded else "erased_on_kafka"
    _show(("field", "personal", "why", "when erased"), ((name, *one.values()) for name, one in fields))
    print()
    _show(
        ("where", "what of persons", "how long", "when erased"),
        ((one["where"], one["holds"], one["kept"], one[kept_as]) for one in document["places"]),
    )


@app.command("record")
def record_command(json: Json = False, config: Config = None) -> None:
    """Write the record of processing activities (GDPR, article 30) of this installation: Markdown, or JSON."""
    settings = settings_of(config)
    if json:
        _write(processing.record(settings))
        return
    for line in processing.text(settings).splitlines():
        print(wrapped(plain(line), 2))


@app.command("export")
def export_command(
    lead: Lead = None,
    deal: Deal = None,
    customer: Customer = None,
    visitor: Visitor = None,
    owner: Owner = None,
    email: Email = None,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
) -> None:
    """Write all that is held of somebody as JSON to standard output: from the file (also while it is used), or the Kafka."""
    subject = _subject("", lead=lead, deal=deal, customer=customer, visitor=visitor, owner=owner, email=email)
    settings = settings_of(config)
    if url is not None:
        where = remote.running(settings, url)
        token = remote.token_of(token_file, where)
        found = remote.call("POST", "/api/privacy/export", url=where, token=token, body=subject._asdict(), timeout=_PATIENCE)
    else:
        found = _held(settings, subject)
    _write(found)
    console.print(f"{len(found['held']):,} records and rows, of {len(found['known_as'])} ids", highlight=False)


def _held(settings: Settings, subject: Subject) -> dict[str, Any]:
    try:
        subject = as_kept(subject, settings)
        if settings.kafka.embedded:
            return held.of_ledger(place(settings), engine_options(settings, ""), subject)
        options = engine_options(settings, settings.kafka.brokers)
        found = held.of_kafka(options, subject)
        asyncio.run(note(options, getpass.getuser(), "vigie privacy export", subject))
        return found
    except (LedgerRefused, ValueError) as error:
        refuse(error)
    except KafkaException as error:
        refuse(no_broker(settings.kafka.brokers, error))


@app.command("erase")
def erase_command(
    lead: Lead = None,
    deal: Deal = None,
    customer: Customer = None,
    visitor: Visitor = None,
    owner: Owner = None,
    email: Email = None,
    queued: Annotated[bool, typer.Option("--queued", help="All whom CRMs have asked to be erased, in one pass.")] = False,
    why: Annotated[str, typer.Option(help="Kept in the certificate: up to 200 characters, without the id.")] = "",
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
) -> None:
    """Erase somebody from all that is kept; every figure stays. Returns once no byte of them is left, and says where they were.

    Late events do not bring them back. Asked twice, the certificate of the first time is told.
    """
    given = {"lead": lead, "deal": deal, "customer": customer, "visitor": visitor, "owner": owner, "email": email}
    if queued and any(given.values()):
        refuse("--queued: accepted alone, it is all whom CRMs have asked for", 2)
    subject = None if queued else _subject(why, **given)
    settings = settings_of(config)
    try:
        if subject is not None:
            not_named(subject, settings)
            subject = as_kept(subject, settings)
        found = None if url is not None else _offline(settings, subject, why)
    except (InSettings, EraseRefused, LedgerRefused, LedgerError, TimeoutError, ValueError) as error:
        refuse(error)
    except Superseded:
        refuse("another one has begun to erase meanwhile: it goes on from here")
    except KafkaException as error:
        refuse(no_broker(settings.kafka.brokers, error))
    if found is None:
        where = remote.running(settings, url)
        token = remote.token_of(token_file, where)
        if subject is None:
            found = remote.call("POST", "/api/privacy/queued", url=where, token=token, body={}, timeout=_PATIENCE)
        else:
            body = {**subject._asdict(), "why": why}
            found = [remote.call("POST", "/api/privacy/erase", url=where, token=token, body=body, timeout=_PATIENCE)]
    if json:
        _write(found if queued else found[0])
        return
    for certificate in found:
        _tell(certificate)
    if not found:
        print("nobody waits to be erased")


def _offline(settings: Settings, subject: Subject | None, why: str) -> list[dict[str, Any]] | None:
    """Erase somebody, or all who wait for it, from a Kafka without workers or a ledger that nobody uses.

    None where an instance uses it.
    """
    asked = AskedBy(getpass.getuser(), why)
    if settings.kafka.embedded:
        erased = _from_ledger(settings, subject, asked)
    else:
        erased = _from_kafka(settings, subject, asked)
    if erased is None:
        return None

    async def forget() -> None:
        caches = Caches(seen_of(settings), Snapshots.of(settings))
        await caches.forget(erased)
        await caches.seen.close()
        await caches.snapshots.close()

    asyncio.run(forget())
    found: list[dict[str, Any]] = msgspec.to_builtins(erased.certificates)
    return found


def _from_kafka(settings: Settings, subject: Subject | None, asked: AskedBy) -> ErasureResult:
    options, folds = plan(settings)
    if wrong := summary(one for one in check(options, folds) if one.topic in map(options.physical, (TOPIC, REQUESTS))):
        raise EraseRefused("; ".join(wrong))

    def say(what: str) -> None:
        console.print(what, markup=False, highlight=False)

    return _noted(carried_out(KafkaPrivacy(options, say), subject, asked, settings.privacy.objections), options, subject, asked)


def _from_ledger(settings: Settings, subject: Subject | None, asked: AskedBy) -> ErasureResult | None:
    path = place(settings)
    if not path.is_file():
        raise LedgerRefused(f"{path}: there is no such file")
    try:
        ledger = Ledger(path)
    except LedgerTaken:
        return None
    try:
        backend = OnLedger(ledger)
        options = engine_options(settings, str(path), backend=backend)
        backend.create(options, ())
        return _noted(
            carried_out(LedgerPrivacy(ledger, options), subject, asked, settings.privacy.objections), options, subject, asked
        )
    finally:
        ledger.close()


def _noted(erased: ErasureResult, options: EngineOptions, subject: Subject | None, asked: AskedBy) -> ErasureResult:
    if subject is not None or erased.certificates:
        asyncio.run(note(options, asked.by, f"vigie privacy erase{'' if subject else ' --queued'}", subject))
    return erased


@app.command("erasures")
def erasures_command(json: Json = False, url: Url = None, token_file: TokenFile = None, config: Config = None) -> None:
    """List all erasures, of a running instance or a Kafka, with where somebody was found; nothing of who it was."""
    settings = settings_of(config)
    if url is None and not settings.kafka.embedded:
        try:
            privacy = KafkaPrivacy(engine_options(settings, settings.kafka.brokers))
            found = msgspec.to_builtins(privacy.certificates())
        except KafkaException as error:
            refuse(no_broker(settings.kafka.brokers, error))
    else:
        where = remote.running(settings, url)
        found = remote.call("GET", "/api/privacy/erasures", url=where, token=remote.token_of(token_file, where))
    if json:
        _write(found)
        return
    shown = Table(box=None, pad_edge=False)
    for title in ("asked", "kind", "outcome", "gone", "by", "why"):
        shown.add_column(title)
    for one in found:
        asked, gone = (local_time(one[name]) if one.get(name) else "" for name in ("asked", "gone"))
        shown.add_row(*map(cell, (asked, one["kind"], one["outcome"], gone, one["by"], one.get("why", ""))))
    Console().print(shown)


def _show(titles: Sequence[str], rows: Iterable[Iterable[str]]) -> None:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        shown.add_column(title, overflow="fold")
    for row in rows:
        shown.add_row(*map(cell, row))
    Console().print(shown)


def _tell(certificate: dict[str, Any]) -> None:
    print(plain(f"{certificate['outcome']}: {certificate['kind']}, certificate {certificate['id']}"))
    known = ", ".join(f"{kind}: {count}" for kind, count in certificate.get("known_as", {}).items())
    print(plain(f"known as: {known}"))
    for where, count in certificate.get("found", {}).items():
        print(plain(f"  {where}: {count:,}"))
    gone = certificate.get("gone")
    print(f"gone: {local_time(gone) if gone else 'not yet; it is finished at the next start'}")
    for left in certificate.get("left", ()):
        print(plain(f"yours to delete: {left}"))
    print("yours to delete: backups, exports, and what was sent to others")


def _subject(why: str, **given: str | None) -> Subject:
    named = [Subject(kind, id) for kind, id in given.items() if id is not None]
    if len(named) != 1:
        refuse("whom: accepted is one of --lead, --deal, --customer, --visitor, --owner, --email-hash", 2)
    try:
        return checked(named[0], why)
    except ValueError as error:
        refuse(error, 2)


def _write(tree: object) -> None:
    sys.stdout.write(orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode() + "\n")
