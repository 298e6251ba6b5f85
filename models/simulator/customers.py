"""How does a customer live: invoices, renewals, surveys, complaints, and leaving?"""

from math import exp

from models.simulator.cast import CHURN_REASONS, Product
from models.simulator.diary import iso_day, iso_time
from models.simulator.rhythm import DAY, MINUTE
from models.simulator.scene import Scene

TERM = 365
"""Days of a contract."""


def live_customer(scene: Scene, at: int, *, account: str, product: Product, amount: float, deal: str | None) -> None:
    """Draw a customer's first term after a purchase at ``at``: billed, asked, helped, then renewed or gone.

    Without a ``deal`` the customer was there before the simulation began, and its term ends within a year.
    """
    random = scene.random
    happy = random.gauss(0.4, 1.0)
    invoice = {"amount": scene.money(amount), "currency": scene.currency, "product": product.name}
    if deal:
        end = scene.later(at, TERM)
        billed = scene.at_work(scene.later(at, scene.spread(2.0)))
        told = {**invoice, "deal_id": deal, "term_end": iso_day(at + TERM * DAY)}
        scene.put(billed, "customer.invoiced", account, told)
    else:
        end = scene.later(at, random.random() * TERM)

    now = scene.later(at, random.random() * 60)
    while now < end:
        _contact(scene, now, account, happy)
        now = scene.later(now, 4 + random.expovariate(1 / 30))
    asked = scene.at_work(scene.later(at, random.random() * 120))
    while asked < end:
        nps = min(max(round(7.2 + 1.7 * happy + random.gauss(0, 1.3)), 0), 10)
        scene.put(asked, "customer.surveyed", account, {"kind": "nps", "score": nps})
        if scene.details and nps >= 9 and asked % 3 == 0:
            scene.put(asked + 20 * MINUTE, "customer.recommended", account, {})
        asked = scene.at_work(scene.later(asked, 90 + random.random() * 60))
    if random.random() < 1 / (1 + exp(-1.6 - 0.8 * happy)):
        again = {**invoice, "amount": scene.money(amount * random.uniform(0.95, 1.15)), "term_end": iso_day(end + TERM * DAY)}
        scene.put(scene.at_work(end), "customer.renewed", account, again)
    else:
        scene.put(scene.at_work(end), "customer.churned", account, {"reason": random.choice(CHURN_REASONS)})


def _contact(scene: Scene, at: int, account: str, happy: float) -> None:
    """A question or a complaint, answered after a while, and now and then judged."""
    random = scene.random
    seconds = int(scene.spread(3_600 if happy > 0 else 7_200, 1.0))
    answered = scene.at_work(at + seconds * 1000)
    ticket = {"opened_at": iso_time(at), "response_seconds": (answered - at) // 1000}
    complained = random.random() < 0.18 / (1 + exp(happy))
    scene.put(answered, "customer.complained" if complained else "customer.supported", account, ticket)
    if random.random() < 0.4:
        stars = min(max(round(3.9 + 0.6 * happy - complained + random.gauss(0, 0.6)), 1), 5)
        scene.put(answered + 30 * MINUTE, "customer.surveyed", account, {"kind": "csat", "score": stars})
