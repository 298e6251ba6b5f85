"""What is known of a deal, a lead or a sender that an alert is about?"""

#: Under this name the facts of an alert (``against``) have what is known of the deal, lead or sender.
FACTS = "entity"
#: Attributes that ``where`` may ask for and summaries may name, by entity.
ATTRIBUTES = {
    "deal": ("stage", "owner", "team", "source", "campaign", "product", "region", "pipeline"),
    "lead": ("level", "owner", "team", "source", "campaign", "product", "region"),
    "sender": ("sender",),
}
#: Numbers that summaries may name, each with its unit; the kinds of rules have more (``alert_rules/kinds``).
NUMBERS = {
    "deal": {"amount": "money"},
    "lead": {"waited": "seconds", "score": "score"},
    "sender": {"silence": "seconds"},
}
#: Days that summaries may name: when what is measured began.
DAYS = {"deal": (), "lead": ("began",), "sender": ()}
