"""What had the company sold before the weeks that are simulated whole: the deals of a year, and who bought again.

Each is told by its beginning, its end and its invoice alone: a year of these is as much as two days of everything.
"""

from random import Random

from models.simulator.cast import LOSS_REASONS, PRODUCTS, SEGMENTS, SOURCES, STAGES, Rep
from models.simulator.customers import TERM
from models.simulator.diary import iso_day
from models.simulator.rhythm import DAY, HOUR, OFFICE, WEEKDAYS_OFFICE, busy, poisson
from models.simulator.scene import Scene

YEAR = 400
"""Days before the simulated weeks."""

CLOSED = 12.0
"""Deals that are closed on an ordinary working day at scale 1, in the last weeks of it; a year before a fourth less."""

NEWCOMERS = 3
"""Who began in the last weeks of it, and has sold something since."""

_WON, _AGAIN, _LEAVES = 0.46, 0.55, 0.12
"""Share of the deals that are won, of the wins with somebody who had bought before, and how many of those never buy again."""


def past(scene: Scene, seed: int, end: int, scale: float) -> list[str]:
    """Put the deals that were closed in the :data:`YEAR` days up to ``end`` (epoch ms) into the diary; return who still buys.

    It is drawn from chance of its own: what comes after is the same without.
    """
    random, buyers, sold = Random(f"vigie past {seed}"), list[str](), 0
    for back in range(YEAR, 0, -1):
        day = end - back * DAY
        growth = 1 - 0.25 * back / YEAR
        for _ in range(poisson(random, CLOSED * scale * growth * busy(day, WEEKDAYS_OFFICE))):
            sold += 1
            _sale(scene, random, f"P{seed}-{sold:06d}", day + OFFICE.draw(random), buyers, random.choice(scene.reps))
    for number, rep in enumerate(scene.everyone[-NEWCOMERS:]):
        hired = end - (40 - 5 * number) * DAY
        scene.put(hired + 9 * HOUR, "rep.hired", rep.name, {"owner": rep.name})
        _sale(scene, random, f"P{seed}-N{number:05d}", hired + (11 + 3 * number) * DAY, buyers, rep, odds=1.0)
    return buyers


def _sale(scene: Scene, random: Random, deal: str, at: int, buyers: list[str], rep: Rep, *, odds: float = _WON) -> None:
    product = random.choices(PRODUCTS, [one.weight for one in PRODUCTS])[0]
    segment = random.choices(SEGMENTS, [one.weight for one in SEGMENTS])[0]
    source = random.choices(SOURCES, [one.weight for one in SOURCES])[0]
    won = random.random() < odds
    amount = scene.money(product.price * segment.size * random.lognormvariate(0.0, 0.45))
    again = won and bool(buyers) and random.random() < _AGAIN
    # Some buy often, some seldom: the lower half of the list is asked four times as often.
    at_hand = random.randrange(len(buyers)) if again else 0
    if again and random.random() < 0.75:
        at_hand //= 2
    account = buyers[at_hand] if again else f"{deal}-A"
    scene.put(
        at - int(random.lognormvariate(3.0, 0.5) * DAY),
        "deal.created",
        deal,
        {
            "amount": amount,
            "currency": scene.currency,
            "stage": STAGES[0],
            "pipeline": "sales",
            "owner": rep.name,
            "team": rep.team,
            "source": source.name,
            "campaign": random.choice(source.campaigns),
            "product": product.name,
            "region": rep.region,
            "segment": segment.name,
            "account_id": account,
            "sale": "upsell" if again else "new",
        },
    )
    if not won:
        scene.put(at, "deal.lost", deal, {"reason": random.choice(LOSS_REASONS), "owner": rep.name})
        return
    scene.put(at, "deal.won", deal, {"amount": amount, "currency": scene.currency, "owner": rep.name})
    bill = {"amount": amount, "currency": scene.currency, "product": product.name, "deal_id": deal}
    scene.put(at + DAY, "customer.invoiced", account, {**bill, "term_end": iso_day(at + TERM * DAY)})
    if again and random.random() < _LEAVES:
        buyers.remove(account)
    elif not again:
        buyers.append(account)
