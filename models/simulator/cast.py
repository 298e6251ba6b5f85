"""Who sells what to whom in the simulated company, and what makes them differ?

The numbers are invented. What matters is that they differ enough for rates to be told apart and for models to learn.
``quality`` and ``skill`` are added to the logit of a win or a conversion.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class LeadSource:
    """Where leads come from: how often, how good, and what a day of it costs (currency units at scale 1)."""

    name: str
    weight: float
    quality: float
    daily_cost: float
    campaigns: tuple[str, ...]
    on_the_web: bool = False
    bounce: float = 0.0  # share of its web sessions that see one page only


@dataclass(frozen=True, slots=True)
class Product:
    """Something sold: its list price, what a unit of revenue costs to deliver, and how easily it sells."""

    name: str
    price: float
    cost_share: float
    weight: float
    quality: float


@dataclass(frozen=True, slots=True)
class CastSegment:
    """A kind of customer: its deals are larger and slower by these factors."""

    name: str
    weight: float
    size: float
    slowness: float
    quality: float


@dataclass(frozen=True, slots=True)
class Rep:
    """Somebody who sells. ``pace`` multiplies all delays; ``hired_day`` is a day of the simulation, 0 for old hands."""

    name: str
    team: str
    region: str
    skill: float
    pace: float
    hired_day: int


SOURCES = (
    LeadSource("web", 0.40, 0.1, 180, ("seo", "product-blog", "webinar"), on_the_web=True, bounce=0.42),
    LeadSource("ads", 0.27, -0.6, 900, ("search-brand", "search-generic", "retargeting"), on_the_web=True, bounce=0.58),
    LeadSource("social", 0.13, -0.3, 260, ("linkedin-posts", "newsletter"), on_the_web=True, bounce=0.52),
    LeadSource("partner", 0.06, 0.7, 320, ("reseller-programme",)),
    LeadSource("referral", 0.05, 1.0, 60, ("customer-referral",)),
    LeadSource("outbound", 0.06, -0.4, 420, ("cold-calls", "prospecting-mail")),
    LeadSource("events", 0.03, 0.3, 500, ("trade-fair", "roadshow")),
)

PRODUCTS = (
    Product("Starter", 1_900, 0.30, 0.34, 0.3),
    Product("Team", 6_400, 0.34, 0.30, 0.1),
    Product("Business", 14_500, 0.38, 0.20, -0.1),
    Product("Enterprise Suite", 42_000, 0.42, 0.10, -0.5),
    Product("Analytics Add-on", 3_200, 0.22, 0.06, 0.5),
)

SEGMENTS = (
    CastSegment("smb", 0.52, 0.8, 0.7, 0.1),
    CastSegment("mid-market", 0.33, 1.5, 1.0, 0.15),
    CastSegment("enterprise", 0.15, 3.4, 1.7, -0.3),
)

TEAMS = (("north", "Nord"), ("south", "Sud"), ("key-accounts", "Île-de-France"))
"""Each team and the region it sells in."""

STAGES = ("new", "qualified", "demo", "proposal", "negotiation")
"""The open stages in order; ``won`` and ``lost`` follow."""

STAGE_DAYS = (2.2, 3.6, 4.2, 6.0, 5.0)
"""Median days a deal spends in each stage, before product, segment and rep."""

LOSS_WEIGHTS = (0.20, 0.26, 0.18, 0.22, 0.14)
"""Where lost deals are lost."""

LOSS_REASONS = ("price", "competitor", "no budget", "no decision", "timing", "missing feature")
DISQUALIFIED = ("not reachable", "no need", "too small", "student", "competitor")
CHURN_REASONS = ("price", "competitor", "out of business", "unused", "support")
PAGES = ("/", "/pricing", "/product", "/product/analytics", "/customers", "/blog/forecasting", "/docs", "/about", "/demo")
REFERRERS = {
    "web": ("https://search.example/", "https://blog.example/"),
    "ads": ("https://ads.example/click",),
    "social": ("https://social.example/",),
}
CTAS = ("start-trial", "see-pricing", "talk-to-us", "download-guide")
FORMS = ("contact", "trial", "guide", "newsletter")
CONTACT_CHANNELS = ("phone", "phone", "email", "email", "chat")

NAMES = (
    "amelie.bernard", "karim.benali", "lucie.moreau", "hugo.petit", "ines.garcia", "paul.lefevre", "sofia.rossi",
    "mehdi.haddad", "clara.dubois", "tom.janssen", "nadia.cohen", "victor.leroy", "eva.lindgren", "yann.le-goff",
    "marie.fontaine", "omar.diallo", "julie.marchand", "peter.novak", "lea.robert", "adrien.simon",
)  # fmt: skip
OLD_HANDS = 14
ONBOARDING = {
    "accounts": 0,
    "product": 1,
    "shadowing": 3,
    "first call": 7,
    "first demo": 14,
    "pricing": 21,
    "own pipeline": 35,
}
"""The steps until a newcomer is on board, and after how many days each is done."""


def make_reps(random: Random) -> tuple[Rep, ...]:
    """The sales force: 14 old hands, and six who join on days 6, 66, 126, … and have yet to learn."""
    reps = []
    for number, name in enumerate(NAMES):
        team, region = TEAMS[number % len(TEAMS)]
        newcomer = number - OLD_HANDS
        skill = random.gauss(0.0, 0.55) - (0.5 if newcomer >= 0 else 0.0)
        pace = min(max(random.lognormvariate(0.0, 0.25), 0.5), 2.0)
        reps.append(Rep(name, team, region, skill, pace, 6 + 60 * newcomer if newcomer >= 0 else 0))
    return tuple(reps)
