"""A CRM that tells what it does as HubSpot does: life cycles of deals, batches of notifications, signatures v3.

Written from HubSpot's documentation, not from the adapter, so that both can be compared. What must come out at the end is
known from the life cycles themselves (:class:`Truth`), by plain sums.
"""

import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SECRET = "5ecret-of-the-simulated-crm"
PUBLIC = "https://vigie.example.com"
PATH = "/webhooks/hubspot"
_DAY = 86_400_000
_SIGNED = f"POST{PUBLIC}{PATH}".encode()
_STAGES = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent")

#: Settings of the installation that listens.
SETTINGS: dict[str, Any] = {"web": {"public_url": PUBLIC}, "sources": {"hubspot": {"client_secret": SECRET, "currency": "EUR"}}}

Note = dict[str, Any]


@dataclass
class Truth:
    """What the KPIs must say of all that has been told; amounts in whole currency units."""

    events: int = 0
    leads: int = 0
    won: int = 0
    lost: int = 0
    revenue: int = 0
    open_amount: int = 0

    def readings(self) -> dict[str, float]:
        """By the KPI's id."""
        return {
            "sales": self.won,
            "revenue": self.revenue,
            "leads": self.leads,
            "win_rate": self.won / (self.won + self.lost),
            "average_deal_size": self.revenue / self.won,
            "open_pipeline": self.open_amount,
        }


@dataclass
class Crm:
    """Deals from ``days`` ago until an hour ago, the same ones for the same ``seed`` and ``now`` (epoch ms);
    their ids begin at ``first``."""

    seed: int
    now: int
    days: int = 20
    first: int = 1_000
    truth: Truth = field(default_factory=Truth)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._ids = 0

    def _note(self, kind: str, subject: int, at: int, **more: Any) -> Note:
        self._ids += 1
        self.truth.events += 1
        return {
            "eventId": self._ids,
            "subscriptionId": 12_345,
            "portalId": 62_515,
            "appId": 54_321,
            "occurredAt": at,
            "subscriptionType": kind,
            "attemptNumber": 0,
            "objectId": subject,
            "changeSource": "CRM",
            **more,
        }

    def life(self, id: int) -> list[Note]:
        """A contact that becomes a lead, or a deal, from its creation to where it stands, in the order in which it happened."""
        dice, truth = self._random, self.truth
        at = self.now - dice.randrange(3_600_000 * 2, self.days * _DAY)

        def later() -> int:
            nonlocal at
            at += dice.randrange(1, 60_000)  # all of a life within minutes: nothing lies in the future
            return at

        if dice.random() < 0.25:
            truth.leads += 1
            return [self._note("contact.propertyChange", id, at, propertyName="lifecyclestage", propertyValue="lead")]

        def change(name: str, value: str) -> Note:
            return self._note("deal.propertyChange", id, later(), propertyName=name, propertyValue=value)

        amount = dice.randrange(100, 50_000)
        notes = [self._note("deal.creation", id, at), change("amount", str(amount)), change("dealstage", _STAGES[0])]
        notes += [change("dealstage", stage) for stage in _STAGES[1 : dice.randrange(1, 5)]]
        if dice.random() < 0.3:
            amount = dice.randrange(100, 50_000)
            notes.append(change("amount", str(amount)))
        if dice.random() < 0.3:
            notes.append(change("hubspot_owner_id", str(dice.randrange(1, 30))))
        end = dice.random()
        if end < 0.4:
            notes.append(change("dealstage", "closedwon"))
            if dice.random() < 0.1:  # corrected after the close
                amount = dice.randrange(100, 50_000)
                notes.append(change("amount", str(amount)))
            truth.won += 1
            truth.revenue += amount
        elif end < 0.7:
            notes.append(change("dealstage", "closedlost"))
            truth.lost += 1
        else:
            truth.open_amount += amount
        return notes

    def batches(self, count: int, most: int = 3, spread: int = 2_000) -> Iterator[list[Note]]:
        """About ``count`` requests of one to ``most`` notifications each; lives are told to their end.

        Those of one life lie up to some ``spread`` notifications apart, in no order.
        """
        dice, held = self._random, list[Note]()
        left, id = count * (1 + most) // 2, self.first
        while left > 0 or held:
            while left > 0 and len(held) < spread:
                id += 1
                life = self.life(id)
                held += life
                left -= len(life)
            batch = []
            for _ in range(min(dice.randint(1, most), len(held))):
                place = dice.randrange(len(held))
                held[place], held[-1] = held[-1], held[place]
                batch.append(held.pop())
            yield batch


def request(notes: list[Note], at: int | None = None, host: str = "127.0.0.1") -> bytes:
    """Return the bytes of a signed request, as they go over the wire; ``at`` (epoch ms) is now where left out."""
    body = json.dumps(notes, separators=(",", ":")).encode()
    stamp = b"%d" % (time.time_ns() // 1_000_000 if at is None else at)
    signature = base64.b64encode(hmac.digest(SECRET.encode(), _SIGNED + body + stamp, hashlib.sha256))
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\nuser-agent: HubSpot Connect 2.0\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\naccept: */*\r\n"
    ).encode()
    return head + b"x-hubspot-request-timestamp: " + stamp + b"\r\nx-hubspot-signature-v3: " + signature + b"\r\n\r\n" + body


def retried(notes: list[Note], attempt: int) -> list[Note]:
    """Return a batch as it is sent again: all that changes is the number of the attempt."""
    return [note | {"attemptNumber": attempt} for note in notes]
