"""How does the "CRM Sales Opportunities" data set read as deals?

It is a directory: ``sales_pipeline.csv`` (one row an opportunity), ``sales_teams.csv``, ``accounts.csv`` and
``products.csv``. An engage date is ``deal.created`` at the stage "Engaging", a close date ``deal.won`` (with the
close value; no currency is named: the business one) or ``deal.lost``. The file has days, no times: both are that
day's midnight in the business time zone (``ReadOptions.zone``). Prospects have no date at all, so nothing can be said
about when they began: they are rejected, with one reason, and counted.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from stream.sources.files.base import (
    CsvRow,
    Dated,
    FileEvent,
    FileReject,
    Item,
    ReadOptions,
    by_time,
    epoch_ms,
    read_csv,
)
from stream.sources.files.ids import damage
from stream.sources.files.text import SourceFileError

PIPELINE = (
    "opportunity_id",
    "sales_agent",
    "product",
    "account",
    "deal_stage",
    "engage_date",
    "close_date",
    "close_value",
)
NO_DATE = "prospecting: no engage_date, so the deal's creation cannot be dated"
STAGES = ("Prospecting", "Engaging", "Won", "Lost")


def read(path: Path, options: ReadOptions) -> Iterator[Item]:
    """The deal events of the directory ``path``, in time order.

    Raises:
        SourceFileError: if one of the four files or one of its columns is missing.
    """
    if not path.is_dir():
        raise SourceFileError(f"{path}: not a directory; the one that holds sales_pipeline.csv is needed")
    for item in by_time(_Directory(path, options).rows()):
        yield item if isinstance(item, FileReject) else FileEvent(item.line, item.value)


class _Directory:
    """The small tables, in memory, and the walk over the large one."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.pipeline = path / "sales_pipeline.csv"
        self.zone = options.zone
        self.teams = _table(path / "sales_teams.csv", "sales_agent", "manager", "regional_office")
        self.accounts = _table(path / "accounts.csv", "account", "sector")
        products = _table(path / "products.csv", "product", "sales_price")
        # The pipeline says "GTXPro" for "GTX Pro": names are looked up without their spaces.
        self.products = {name.replace(" ", "").lower(): name for name in products}

    def rows(self) -> Iterator[Dated | FileReject]:
        for row in read_csv(self.pipeline, PIPELINE):
            if isinstance(row, FileReject):
                yield row
                continue
            try:
                yield from self.events(row)
            except ValueError as error:
                yield FileReject(row.line, str(error))

    def events(self, row: CsvRow) -> list[Dated]:
        """The one or two events of an opportunity; all or none. Raises ValueError with the reason."""
        fields = row.fields
        deal, stage = fields["opportunity_id"], fields["deal_stage"]
        if not deal:
            raise ValueError("opportunity_id: empty; the deal's id is needed")
        if wrong := damage(deal):
            raise ValueError(f"opportunity_id: {wrong}")
        if stage not in STAGES:
            raise ValueError(f'deal_stage: found "{stage}"; {", ".join(STAGES)} are known')
        if not fields["engage_date"]:
            raise ValueError(NO_DATE if stage == "Prospecting" else f"engage_date: empty in a deal that is {stage}")
        told = [self.event(row, 1, "deal.created", "engage_date", {**self.attributes(fields), "stage": "Engaging"})]
        if stage == "Won":
            value = {"amount": fields["close_value"]} if fields["close_value"] else {}
            told.append(self.event(row, 2, "deal.won", "close_date", value))
        elif stage == "Lost":
            # Its close value is 0 in the file, which is not what the deal was worth: no amount.
            told.append(self.event(row, 2, "deal.lost", "close_date", {}))
        if told[-1].at < told[0].at:
            raise ValueError(f"close_date: {fields['close_date']} is before engage_date {fields['engage_date']}")
        return told

    def attributes(self, fields: dict[str, str]) -> dict[str, str]:
        agent, product, account = fields["sales_agent"], fields["product"], fields["account"]
        team = self.teams.get(agent, {})
        found = {
            "owner": agent,
            "team": team.get("manager", ""),
            "region": team.get("regional_office", ""),
            "product": self.products.get(product.replace(" ", "").lower(), product),
            "account_id": account,
            "segment": self.accounts.get(account, {}).get("sector", ""),
        }
        return {name: value for name, value in found.items() if value}

    def event(self, row: CsvRow, number: int, kind: str, column: str, data: dict[str, Any]) -> Dated:
        text = row.fields[column]
        try:
            moment = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=self.zone)
        except ValueError:
            raise ValueError(f'{column}: found "{text}"; a date as 2017-03-01 is needed') from None
        deal = row.fields["opportunity_id"]
        event = {
            "specversion": "1.0",
            "id": f"crm:{deal}:{number}:{kind.removeprefix('deal.')}",
            "source": "/files/crm",
            "type": kind,
            "time": moment.isoformat(),
            "subject": deal,
            "data": data,
        }
        return Dated(epoch_ms(moment), row.line, event)


def _table(path: Path, key: str, *columns: str) -> dict[str, dict[str, str]]:
    table = {}
    for row in read_csv(path, (key, *columns)):
        if isinstance(row, FileReject):
            raise SourceFileError(f"{path}:{row.line}: {row.reason}")
        table[row.fields[key]] = row.fields
    return table
