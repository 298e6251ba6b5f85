"""How does a deal live: through which stages, how long, and is it won?"""

from collections.abc import Iterator
from math import exp, log

from models.simulator.cast import LOSS_REASONS, LOSS_WEIGHTS, STAGE_DAYS, STAGES, CastSegment, LeadSource, Product, Rep
from models.simulator.customers import live_customer
from models.simulator.diary import iso_day, iso_time
from models.simulator.rhythm import DAY, SECOND
from models.simulator.scene import Scene

FORGOTTEN = 0.05
"""Share of the deals that nobody ever closes."""


def live_deal(
    scene: Scene,
    at: int,
    *,
    deal: str,
    account: str,
    product: Product,
    segment: CastSegment,
    rep: Rep,
    source: LeadSource,
    campaign: str,
    lead: str | None,
    variant: str,
    warmth: float,
    lead_at: int | None = None,
) -> None:
    """Draw a deal's whole life.

    The logit of a win adds up what is in the events (rep, source, product, segment, variant, amount) and the ``warmth``
    that its lead has shown; the time to close grows with amount, segment and the rep's pace.
    """
    random = scene.random
    amount = scene.spread(product.price * segment.size, 0.45)
    dear = log(amount / 8_000)
    logit = -1.0 + rep.skill + 0.7 * source.quality + product.quality + segment.quality + warmth
    logit += 0.25 * (variant == "B") - 0.28 * dear
    won = random.random() < 1 / (1 + exp(-logit))
    forgotten = random.random() < FORGOTTEN
    slowness = segment.slowness * rep.pace * exp(0.12 * dear)

    data = {
        "amount": scene.money(amount),
        "currency": scene.currency,
        "cost": scene.money(amount * product.cost_share * random.uniform(0.9, 1.15)),
        "stage": STAGES[0],
        "pipeline": "sales",
        "owner": rep.name,
        "team": rep.team,
        "source": source.name,
        "campaign": campaign,
        "product": product.name,
        "region": rep.region,
        "segment": segment.name,
        "account_id": account,
        "expected_close_date": iso_day(at + int(scene.spread(sum(STAGE_DAYS) * slowness, 0.3) * DAY)),
        "variant": variant,
    }
    if lead:
        data["lead_id"] = lead
    if scene.details and lead_at is not None:
        data["lead_created_at"] = iso_time(lead_at)
    if scene.details and int(amount) % 3:
        data["list_amount"] = scene.money(amount / (0.85 + 0.05 * (int(amount) % 4)))
        data["sale"] = "new" if lead else ("upsell" if int(amount) % 2 else "cross_sell")
    scene.put(at, "deal.created", deal, data)

    last = len(STAGES) - 1 if won else random.choices(range(len(STAGES)), LOSS_WEIGHTS)[0]
    owner, now = rep, at
    for stage in _path(scene, last):
        if stage:
            moved: dict[str, str] = {"stage": STAGES[stage]}
            if random.random() < 0.04:
                owner = scene.rep()
                moved |= {"owner": owner.name, "team": owner.team, "region": owner.region}
            scene.put(now, "deal.stage_changed", deal, moved)
        stay = scene.spread(STAGE_DAYS[stage] * slowness, 0.55)
        if not won and stage == last:
            stay *= 1.6  # bad news takes its time
        ended = scene.at_work(scene.later(now, stay))
        _work(scene, deal, owner, now, ended, lively=won)
        if stage == 2 and random.random() < 0.3:
            amount *= random.uniform(0.75, 1.2)
            update = {"amount": scene.money(amount), "currency": scene.currency}
            scene.put(now + (ended - now) // 2, "deal.updated", deal, update)
        now = ended
    if forgotten:
        return
    if not won:
        scene.put(now, "deal.lost", deal, {"reason": random.choice(LOSS_REASONS), "owner": owner.name})
        return
    scene.put(now - 30 * SECOND, "deal.activity", deal, {"kind": "signature", "owner": owner.name})
    final = {"amount": scene.money(amount), "currency": scene.currency, "owner": owner.name}
    scene.put(now, "deal.won", deal, final)
    live_customer(scene, now, account=account, product=product, amount=amount, deal=deal)


def _path(scene: Scene, last: int) -> Iterator[int]:
    """The stages up to ``last``: some are skipped, some are gone through again."""
    random = scene.random
    yield 0
    for stage in range(1, last + 1):
        if stage < last and random.random() < 0.07:
            continue
        yield stage
        if stage >= 2 and random.random() < 0.04:
            yield stage - 1
            yield stage


def _work(scene: Scene, deal: str, owner: Rep, begin: int, end: int, *, lively: bool) -> None:
    """The calls, meetings and mails of one stage; deals that will be won see more of them."""
    random = scene.random
    for _ in range(random.randrange(0, 5 if lively else 4)):
        at = scene.at_work(begin + int(random.random() * (end - begin)))
        if begin <= at < end:
            kind = random.choice(("call", "call", "meeting", "email", "email", "demo"))
            scene.put(at, "deal.activity", deal, {"kind": kind, "owner": owner.name})
