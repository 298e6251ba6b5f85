"""What is known of a single deal, lead, sender, test, objective, challenge or customer that an alert is about?"""

#: Under this name the facts of an alert (``against``) have what is known of the deal, lead or sender.
FACTS = "entity"
#: Attributes that ``where`` may ask for and summaries may name, by entity.
ATTRIBUTES = {
    "deal": ("stage", "owner", "team", "source", "campaign", "product", "region", "pipeline"),
    "lead": ("level", "owner", "team", "source", "campaign", "product", "region"),
    "sender": ("sender",),
    "experiment": ("variant", "guard"),
    "objective": ("period", "owner", "team"),
    "challenge": ("guard",),
    "customer": ("left", "joined"),
}
#: Numbers that summaries may name, each with its unit; the kinds of rules have more (``alert_rules/kinds``).
NUMBERS: dict[str, dict[str, str]] = {
    "deal": {"amount": "money"},
    "lead": {"waited": "seconds", "score": "score"},
    "sender": {"silence": "seconds"},
    **{entity: {} for entity in ("experiment", "objective", "challenge", "customer")},
}
#: Days that summaries may name: when what is measured began.
DAYS: dict[str, tuple[str, ...]] = {
    "deal": (), "lead": ("began",), "sender": (), "experiment": (), "objective": (), "challenge": (), "customer": (),
}  # fmt: skip
