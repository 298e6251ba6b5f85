"""What are the simulated deals and leads called? By their ids alone, so that nothing else depends on it."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from models.simulator.diary import Event

_COMPANIES = (
    "Alvéole",
    "Bastion",
    "Brume",
    "Cadence",
    "Calanque",
    "Cordage",
    "Delta",
    "Écume",
    "Faro",
    "Garance",
    "Hélice",
    "Iris",
    "Jusant",
    "Kayak",
    "Lanterne",
    "Mistral",
    "Nacre",
    "Opale",
    "Pampre",
    "Quille",
    "Rivage",
    "Sextant",
    "Tramontane",
    "Vigne",
    "Zéphyr",
)
_KINDS = (
    "Industrie",
    "Logistique",
    "Conseil",
    "Santé",
    "Énergie",
    "Média",
    "Distribution",
    "Assurances",
    "Textile",
    "Agro",
    "Labs",
)
_FIRST = (
    "Alice",
    "Bruno",
    "Chloé",
    "David",
    "Élise",
    "Farid",
    "Gaëlle",
    "Henri",
    "Inès",
    "Jonas",
    "Karine",
    "Louis",
    "Mona",
    "Noé",
)
_LAST = (
    "Arnaud",
    "Blanchet",
    "Caron",
    "Durand",
    "Evrard",
    "Faure",
    "Girard",
    "Hamel",
    "Joly",
    "Lambert",
    "Meunier",
    "Perrot",
    "Roux",
)


def named(event: Event) -> Event:
    """Give a new deal the name of its company and product, a customer its company's, and a new lead a person's."""
    data: dict[str, Any] = event["data"]
    if event["type"] == "deal.created":
        data["name"] = f"{_company(str(data.get('account_id') or event['subject']))}, {data['product']}"
    elif event["type"] in ("customer.invoiced", "customer.renewed"):
        data["name"] = _company(event["subject"])
    elif event["type"] == "lead.created":
        data |= {"first_name": _one(_FIRST, event["subject"]), "last_name": _one(_LAST, event["subject"][::-1])}
    return event


def _company(account: str) -> str:
    return f"{_one(_COMPANIES, account)} {_one(_KINDS, account[::-1])}"


def _one(of: Sequence[str], text: str) -> str:
    return of[crc32(text.encode()) % len(of)]
