"""The events of the whole job: the real contract, in the mix of a company that works its deals.

35 % deals, 20 % leads, 40 % page views, 4 % customers, 1 % spend. Every deal event names another owner and another source than
the one before, which is the dearest thing that can happen to a fold: all that the deal counts for moves to other segments.
"""

import random
from collections.abc import Iterator
from typing import Any

import orjson

from models.calendar import iso

#: Topics of the mix, and the fold of each.
TOPICS = ("deals", "leads", "engagement", "customers", "spend")

#: Events of one second of event time: what a checkpoint sees of minutes and panes depends on it.
RATE = 1_000
DEAL_EVENTS = 9
LEAD_EVENTS = 4
SESSION_PAGES = 5

OWNERS = [f"rep{number:02d}" for number in range(40)]
TEAMS = ["north", "south", "key accounts", "inbound", "partners"]
SOURCES = ["google", "linkedin", "referral", "partner", "fair", "cold", "newsletter", "direct"]
CAMPAIGNS = [f"camp-{number:02d}" for number in range(30)]
PRODUCTS = ["starter", "team", "business", "enterprise", "support", "training"]
REGIONS = ["DACH", "FR", "UK", "NORDICS", "IBERIA", "US"]
SIZES = ["small", "medium", "large"]
STAGES = ["qualify", "discover", "propose", "negotiate", "sign"]
PAGES = ["/", "/pricing", "/docs", "/demo", "/blog/sales-velocity", "/contact", "/customers", "/security"]
CHANNELS = ["search", "social", "display", "events"]


class Mix:
    """A seeded stream of events; ``start`` is the first event's time (epoch ms)."""

    def __init__(self, count: int, start: int, seed: int = 7, rate: float = RATE) -> None:
        self.random = random.Random(seed)
        self.count = count
        self.start = start
        self.rate = rate
        self.deals: dict[int, int] = {}  # deal -> events so far
        self.leads: dict[int, int] = {}
        self.sessions: list[tuple[str, str, str, str]] = []
        self.deal_count = max(1, round(count * 0.35 / DEAL_EVENTS))
        self.lead_count = max(1, round(count * 0.20 / LEAD_EVENTS))
        self.session_count = max(1, round(count * 0.40 / SESSION_PAGES))

    def __iter__(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Yield (topic, key, value) in the order of time."""
        r = self.random
        for number in range(self.count):
            draw = r.random()
            if draw < 0.35:
                topic, kind, subject, data = "deals", *self.deal()
            elif draw < 0.55:
                topic, kind, subject, data = "leads", *self.lead()
            elif draw < 0.95:
                topic, kind, subject, data = "engagement", *self.view()
            elif draw < 0.99:
                topic, kind, subject, data = "customers", *self.customer()
            else:
                topic, kind, subject, data = "spend", *self.spend()
            event = {
                "specversion": "1.0",
                "id": f"b{number:012x}",
                "source": "/bench",
                "type": kind,
                "time": iso(self.start + int(number * 1000 / self.rate)),
                "subject": subject,
                "data": data,
            }
            yield topic, subject.encode(), orjson.dumps(event)

    def amount(self) -> str:
        """An amount with cents, as CRMs send it."""
        return f"{self.random.randrange(500, 90_000)}.{self.random.randrange(100):02d}"

    def deal(self) -> tuple[str, str, dict[str, Any]]:
        """The next event of some deal; created first, closed last."""
        return self.deal_event(self.random.randrange(self.deal_count))

    def deal_event(self, deal: int) -> tuple[str, str, dict[str, Any]]:
        """The next event of this deal."""
        r = self.random
        step = self.deals.get(deal, 0)
        self.deals[deal] = step + 1
        # Strides that share no factor with the lengths: each event has another owner and another source than the one before.
        data: dict[str, Any] = {
            "owner": OWNERS[(deal + 7 * step) % len(OWNERS)],
            "source": SOURCES[(deal + 3 * step) % len(SOURCES)],
        }
        if step == 0:
            data |= {
                "amount": self.amount(),
                "currency": "EUR",
                "stage": STAGES[0],
                "pipeline": "sales",
                "team": TEAMS[deal % len(TEAMS)],
                "campaign": CAMPAIGNS[deal % len(CAMPAIGNS)],
                "product": r.choice(PRODUCTS),
                "region": REGIONS[deal % len(REGIONS)],
                "segment": r.choice(SIZES),
                "account_id": f"A{deal % 5000:05d}",
                "expected_close_date": "2027-03-31",
            }
            kind = "deal.created"
        elif step == DEAL_EVENTS - 1:
            kind = "deal.won" if deal % 3 == 0 else "deal.lost"
        elif step % 2:
            kind = "deal.stage_changed"
            data["stage"] = STAGES[(step // 2 + 1) % len(STAGES)]
        else:
            kind = "deal.updated"
            data |= {"amount": self.amount(), "currency": "EUR"}
        return kind, f"D{deal:07d}", data

    def lead(self) -> tuple[str, str, dict[str, Any]]:
        """The next event of some lead."""
        r = self.random
        lead = r.randrange(self.lead_count)
        step = self.leads.get(lead, 0)
        self.leads[lead] = step + 1
        subject = f"L{lead:07d}"
        if step == 0:
            data = {
                "owner": OWNERS[lead % len(OWNERS)],
                "source": r.choice(SOURCES),
                "campaign": r.choice(CAMPAIGNS),
                "region": r.choice(REGIONS),
                "segment": r.choice(SIZES),
                "score": r.randrange(100),
                "email_hash": f"{r.randrange(1 << 64):016x}",
            }
            return "lead.created", subject, data
        if step == 1:
            return "lead.contacted", subject, {"channel": "phone", "preparation_seconds": r.randrange(60, 900)}
        if step == 2:
            return "lead.qualified", subject, {"level": r.choice(("mql", "sql"))}
        if step == 3:
            return "lead.converted", subject, {"deal_id": f"D{lead:07d}", "account_id": f"A{lead % 5000:05d}"}
        return "lead.updated", subject, {"score": r.randrange(100)}

    def view(self) -> tuple[str, str, dict[str, Any]]:
        """One page of one of the visits under way; a new visit begins as often as one ends."""
        r = self.random
        if len(self.sessions) < 500 or r.random() < 1 / SESSION_PAGES:
            visitor = f"V{r.randrange(self.session_count):07d}"
            self.sessions.append((visitor, f"s{r.randrange(1 << 40):010x}", r.choice(SOURCES), r.choice(CAMPAIGNS)))
            if len(self.sessions) > 500:
                place = r.randrange(500)
                self.sessions[place] = self.sessions.pop()
                at = place
            else:
                at = len(self.sessions) - 1
        else:
            at = r.randrange(len(self.sessions))
        visitor, session, source, campaign = self.sessions[at]
        data = {
            "visitor_id": visitor,
            "session_id": session,
            "page": r.choice(PAGES),
            "source": source,
            "campaign": campaign,
            "duration_seconds": r.randrange(3, 240),
        }
        return "web.page_viewed", visitor, data

    def customer(self) -> tuple[str, str, dict[str, Any]]:
        """An invoice, an answer to a survey, or a question answered."""
        r = self.random
        account = f"A{r.randrange(5000):05d}"
        draw = r.random()
        if draw < 0.5:
            return "customer.invoiced", account, {"amount": self.amount(), "currency": "EUR", "product": r.choice(PRODUCTS)}
        if draw < 0.8:
            return "customer.surveyed", account, {"kind": "nps", "score": r.randrange(11)}
        return "customer.supported", account, {"response_seconds": r.randrange(60, 20_000)}

    def spend(self) -> tuple[str, str, dict[str, Any]]:
        """Money spent on a channel."""
        r = self.random
        channel = r.choice(CHANNELS)
        data = {"amount": self.amount(), "currency": "EUR", "channel": channel, "campaign": r.choice(CAMPAIGNS)}
        return "spend.recorded", channel, data
