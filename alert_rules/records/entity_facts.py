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
#: Numbers that summaries may name, each with its unit.
NUMBERS = {
    "deal": {"amount": "money", "stage_age": "seconds", "usual": "seconds", "win": "ratio", "win_before": "ratio"},
    "lead": {"waited": "seconds", "score": "score"},
    "sender": {"silence": "seconds"},
    "experiment": {"evidence": "count", "judged": "count"},
    "objective": {"progress": "ratio", "pace": "ratio"},
    "challenge": {},
    "customer": {"worth": "money", "quiet_days": "count"},
}
#: Days that summaries may name: when what is measured began.
DAYS: dict[str, tuple[str, ...]] = {
    "deal": (), "lead": ("began",), "sender": (), "experiment": (), "objective": (), "challenge": (), "customer": (),
}  # fmt: skip
