"""What do the bodies of requests and answers look like? The shapes of which ``schema_operations.py`` is made."""

from stream.web.schema_parts import COUNT, PROBLEM, TEXT, TIME, Schema, a_list, an_object, or_null

UNKNOWN = an_object({**PROBLEM, "parameter": TEXT, "found": TEXT, "accepted": a_list(TEXT)})
INTAKE = an_object({"accepted": COUNT, "unusable": COUNT})
_NUMBER = or_null({"type": "number"})
READING = an_object(
    {
        "kpi": TEXT, "window": TEXT, "segment": {"type": "object", "additionalProperties": TEXT}, "from": TIME, "at": TIME,
        "value": _NUMBER, "unit": TEXT,
    },
    numerator=_NUMBER, denominator=_NUMBER, low=_NUMBER, high=_NUMBER, why=TEXT, since=TIME, name=TEXT,
)  # fmt: skip
WHY = an_object(
    {
        "kpi": TEXT, "definition": TEXT, "formula": TEXT, "reading": READING, "measures": a_list({"type": "object"}),
        "whole": {"type": "boolean"}, "events": {"type": "object"}, "counted": {"type": "object"},
        "differences": a_list({"type": "object"}),
    }
)  # fmt: skip
COUNTED = an_object(
    {
        "kpi": TEXT, "window": TEXT, "segment": TEXT, "from": TIME, "at": TIME, "count": COUNT,
        "deals": a_list(an_object({"entity": TEXT, "id": TEXT, "counted_at": or_null(TIME), "counts": {"type": "object"}})),
        "next": or_null(TEXT),
    }
)  # fmt: skip
HEALTH = an_object(
    {
        "ready": {"type": "boolean"}, "state": TEXT, "reasons": a_list(TEXT), "degraded": a_list(TEXT), "notices": a_list(TEXT),
    }
)  # fmt: skip
ACT = an_object({"type": {"const": "act"}, "at": TIME, "by": TEXT, "act": TEXT, "via": TEXT})
SILENCE = an_object({"id": TEXT, "matchers": a_list(TEXT), "starts": TIME, "ends": TIME}, comment=TEXT, by=TEXT)
_KPI = an_object(
    {
        "id": TEXT,
        "label": {"type": "object"},
        "definition": TEXT,
        "definitions": {"type": "object"},
        "formula": TEXT,
        "unit": TEXT,
    }
)
CATALOGUE = an_object(
    {"kpis": a_list(_KPI), "windows": a_list(TEXT), "dimensions": a_list(TEXT), "currency": TEXT, "timezone": TEXT}
)
TREND = an_object({"window": TEXT, "times": {"type": "array"}, "values": {"type": "object"}})
ALERT = an_object({"id": TEXT, "rule": TEXT, "severity": TEXT, "state": TEXT, "segment": {"type": "object"}, "since": TIME})
PAST = an_object({"records": a_list({"type": "object"}), "next": or_null({"type": "integer"})})
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
FORECAST = an_object(
    {
        "kpi": TEXT, "period": TEXT, "by": or_null(TEXT), "from": TIME, "until": TIME, "at": TIME, "phase": _SHARE,
        "unit": TEXT, "currency": TEXT, "scenarios": a_list({"type": "object"}), "forecasts": a_list({"type": "object"}),
        "yardsticks": {"type": "object"}, "best_lately": or_null({"type": "object"}), "why": a_list(TEXT),
    }
)  # fmt: skip
FORECAST_SCORES = an_object(
    {
        "kpi": TEXT, "period": TEXT, "by": or_null(TEXT), "unit": TEXT, "currency": TEXT,
        "best_lately": or_null({"type": "object"}), "summary": a_list({"type": "object"}),
        "target_probability": {"type": "object"}, "periods": a_list({"type": "object"}),
    }
)  # fmt: skip
EXPECTED = an_object({"at": TIME, "win": _SHARE, "model": TEXT, "terms": a_list({"type": "object"}), "why": TEXT})
_STAGE = an_object({"stage": or_null(TEXT), "count": COUNT, "amount": {"type": "number"}, "stuck": COUNT})
PIPELINE = an_object({"at": TIME, "count": COUNT, "stages": a_list(_STAGE)})
_DEAL = an_object({"id": TEXT, "amount": _NUMBER, "win": _NUMBER, "age": {"type": "number"}, "stuck": {"type": "boolean"}})
DEALS = an_object({"count": COUNT, "amount": {"type": "number"}, "deals": a_list(_DEAL), "stages": a_list(TEXT)})
LEADS = an_object({"count": COUNT, "leads": a_list(an_object({"id": TEXT, "waited": {"type": "number"}}))})
COUNTING = an_object({"entity": TEXT, "id": TEXT, "window": TEXT, "at": TIME, "figures": a_list({"type": "object"})})
STORY = an_object({"entity": TEXT, "id": TEXT, "status": TEXT, "changed": TIME, "facts": a_list({"type": "object"})})
CUSTOMER = an_object({"customer": TEXT, "why": or_null(TEXT)}, R=COUNT, F=COUNT, M=COUNT, x=COUNT, p_alive=or_null(_SHARE))
CUSTOMERS = an_object(
    {"as_of": TEXT, "currency": TEXT, "total": COUNT, "segments": {"type": "object"}, "customers": a_list(CUSTOMER)}
)
LETTER = an_object({"id": TEXT, "reason": TEXT, "detail": TEXT, "topic": TEXT, "first_seen": COUNT, "redrives": COUNT})
LETTERS = an_object({"letters": a_list(LETTER), "left_out": COUNT, "damaged": a_list(TEXT)})
REDRIVE = {
    **an_object({}, ids=a_list(TEXT), reasons=a_list(TEXT), force={"type": "boolean"}),
    "additionalProperties": False,
    "example": {"ids": ["deals-0-17"]},
}
REDRIVEN = an_object({"sent": COUNT, "refused": {"type": "object"}, "missing": a_list(TEXT)})
WANTED = {
    **an_object({"matchers": {**a_list(TEXT), "minItems": 1}}, starts=TEXT, ends=TEXT, duration=TEXT, comment=TEXT),
    "additionalProperties": False,
    "example": {"matchers": ["team=sales"], "duration": "2h", "comment": "fair"},
}

REGISTER = an_object({"fields": {"type": "object"}, "places": a_list(an_object({"where": TEXT, "holds": TEXT, "kept": TEXT}))})
WHOM = {
    **an_object(
        {"kind": {"enum": ["lead", "deal", "customer", "visitor", "owner", "email"]}, "id": {**TEXT, "minLength": 1}}, why=TEXT
    ),
    "additionalProperties": False,
    "example": {"kind": "lead", "id": "contact-1"},
}
CERTIFICATE = an_object(
    {"id": TEXT, "kind": TEXT, "hashes": a_list(TEXT), "outcome": TEXT, "asked": TIME, "by": TEXT},
    why=TEXT, known_as={"type": "object"}, found={"type": "object"}, erased=TIME, gone=or_null(TIME), left=a_list(TEXT),
)  # fmt: skip
HELD = an_object({"known_as": a_list({"type": "object"}), "held": a_list({"type": "object"})})

_GOAL = an_object({"kind": {"enum": ["kpi", "text", "guard"]}}, kpi=TEXT, target=_NUMBER, value=_NUMBER, progress=_NUMBER)
_OBJECTIVE = an_object(
    {
        "id": TEXT,
        "name": TEXT,
        "of": {"type": "object"},
        "period": TEXT,
        "state": TEXT,
        "main": _GOAL,
        "indicators": a_list(_GOAL),
    }
)
OBJECTIVES = an_object({"at": TIME, "currency": TEXT, "objectives": a_list(_OBJECTIVE)})
_CHALLENGE = an_object(
    {"id": TEXT, "name": TEXT, "kpi": TEXT, "state": {"enum": ["planned", "running", "ended", "annulled"]}, "from": TEXT,
     "until": TEXT, "places": a_list({"type": "object"}), "guards": a_list({"type": "object"})}
)  # fmt: skip
CHALLENGES = an_object({"at": TIME, "currency": TEXT, "challenges": a_list(_CHALLENGE)})
PLAYBOOKS = an_object(
    {"currency": TEXT, "playbooks": a_list(an_object({"name": TEXT, "steps": a_list(TEXT), "record": {"type": "object"}}))}
)
AIM: Schema = {
    **an_object({}, name=TEXT, owner=TEXT, team=TEXT, period={"enum": ["month", "week"]}, main={"type": "object"},
              indicators=a_list({"type": "object"}), until=TEXT, id=TEXT, progress=_SHARE, note=TEXT, remove={"const": True}),
    "example": {"name": "Ann, every week", "owner": "o-17", "period": "week", "main": {"kpi": "meetings", "target": 12}},
}  # fmt: skip

TAKEN = an_object({"acknowledged": COUNT, "refused": a_list(an_object({"line": COUNT, "reason": TEXT}))})
