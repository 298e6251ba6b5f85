"""What do visitors of the site do, and what do e-mails, ads and posts bring?"""

from typing import Any

from models.simulator.cast import CTAS, FORMS, PAGES, REFERRERS, SOURCES, LeadSource
from models.simulator.leads import live_lead
from models.simulator.rhythm import DAY, SECOND
from models.simulator.scene import Scene

RETURNING = 0.3
"""Share of the sessions that are another visit of somebody seen before."""

_KNOWN_VISITORS = 2_000


class Audience:
    """The visitors who may come back; bounded, the oldest are forgotten."""

    def __init__(self) -> None:
        self._visitors: list[tuple[str, str | None]] = []
        self._next = 0

    def remember(self, visitor: str, lead: str | None) -> None:
        """Let this visitor come back some day."""
        if len(self._visitors) < _KNOWN_VISITORS:
            self._visitors.append((visitor, lead))
        else:
            self._visitors[self._next] = (visitor, lead)
            self._next = (self._next + 1) % _KNOWN_VISITORS

    def draw(self, scene: Scene) -> tuple[str, str | None]:
        """A visitor, and the lead it is known as, if any."""
        if self._visitors and scene.random.random() < RETURNING:
            return scene.random.choice(self._visitors)
        return scene.new_id("V"), None


def live_session(
    scene: Scene, audience: Audience, at: int, form_rate: float, *, source: LeadSource | None = None, named: float = 0.7
) -> None:
    """One visit: pages, perhaps a call to action, perhaps a form that makes the visitor a lead (``form_rate``).

    It comes from ``source``, where one is given; ``named`` is the share of visits whose campaign is known.
    """
    random = scene.random
    source = source or scene.web_source()
    visitor, lead = audience.draw(scene)
    session = scene.new_id("S")
    base: dict[str, Any] = {"visitor_id": visitor, "session_id": session, "source": source.name}
    campaign = random.choice(source.campaigns)
    if random.random() < named:
        base["campaign"] = campaign
    if lead:
        base["lead_id"] = lead
    pages = 1 if random.random() < source.bounce else 2 + min(int(random.expovariate(0.38)), 14)
    referrer: str | None = random.choice(REFERRERS[source.name])
    now = at
    for _ in range(pages):
        seconds = 3 + int(random.expovariate(1 / 40.0))
        data = {**base, "page": random.choice(PAGES), "duration_seconds": seconds}
        if referrer:
            data["referrer"] = referrer
            referrer = None
        scene.put(now, "web.page_viewed", visitor, data)
        now += seconds * SECOND + int(random.random() * SECOND)
    if pages > 1 and random.random() < 0.26:
        scene.put(now, "web.cta_clicked", visitor, {**base, "page": "/pricing", "cta": random.choice(CTAS)})
        now += 4 * SECOND
    if scene.details and pages > 2 and seconds % 9 == 0:
        begun = {**base, "page": "/demo", "form": FORMS[seconds % len(FORMS)]}
        scene.put(now - SECOND, "web.form_abandoned" if seconds % 2 else "web.form_started", visitor, begun)
    # Nobody fills in a form on a page left at once: the rate is over all visits, spread over those that stay.
    if pages > 1 and lead is None and random.random() < form_rate / (1 - source.bounce):
        form = {**base, "page": "/demo", "form": random.choice(FORMS)}
        if scene.details:
            scene.put(now - 2 * SECOND, "web.form_started", visitor, form)
        scene.put(now, "web.form_submitted", visitor, form)
        lead = scene.new_id("L")
        scene.put(now + 200, "web.identified", visitor, {"visitor_id": visitor, "lead_id": lead})
        demo = random.random() < 0.35
        live_lead(scene, now + 400, source, campaign, lead, asked_for_demo=demo)
        if demo:
            request = {**base, "lead_id": lead, "page": "/demo"}
            scene.put(now + 30 * SECOND, "web.demo_requested", visitor, request)
    audience.remember(visitor, lead)


def live_ads(scene: Scene, at: int, scale: float) -> None:
    """One report of an ad network for one campaign: impressions, and the clicks among them."""
    random = scene.random
    source = random.choice(SOURCES[1:3])
    campaign = random.choice(source.campaigns)
    shown = 1 + int(random.expovariate(1 / (420 * scale)))
    reach = {"campaign": campaign, "channel": source.name, "count": shown}
    if source.name == "social":
        scene.put(at, "social.reached", campaign, reach)
        return
    scene.put(at, "ad.impressed", campaign, reach)
    clicks = round(shown * random.betavariate(3, 120))
    if clicks:
        cost = scene.money(clicks * random.uniform(0.6, 1.9))
        data = {**reach, "count": clicks, "cost": cost, "currency": scene.currency}
        scene.put(at + int(random.random() * 60 * SECOND), "ad.clicked", campaign, data)


def live_spend(scene: Scene, at: int, day: str, scale: float, part: float = 1.0) -> None:
    """What each channel has cost on ``day`` (or a ``part`` of it)."""
    for source in SOURCES:
        amount = scene.spread(source.daily_cost * scale * part, 0.18)
        data = {"amount": scene.money(amount), "currency": scene.currency, "channel": source.name, "day": day}
        scene.put(at + int(scene.random.random() * DAY / 1440), "spend.recorded", source.name, data)
