"""What do the routes take and answer? The parts of the OpenAPI document that no type in the code says.

The routes read and answer bytes, since most are bounded and checked by hand; so their document is kept here, by method and
path, and a test compares it with what a running instance does.
"""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from stream.web.feeds.schema import FEEDS
from stream.web.schema_examples import EXAMPLES
from stream.web.schema_parts import COUNT as _COUNT
from stream.web.schema_parts import PROBLEM, Schema
from stream.web.schema_parts import TEXT as _TEXT
from stream.web.schema_parts import TIME as _TIME
from stream.web.schema_parts import a_list as _list
from stream.web.schema_parts import an_object as _object
from stream.web.schema_parts import body as _body
from stream.web.schema_parts import door_errors as _door_errors
from stream.web.schema_parts import errors as _errors
from stream.web.schema_parts import or_null as _or_null
from stream.web.schema_parts import problem as _problem
from stream.web.schema_parts import query as _query
from stream.web.schema_parts import said as _said

_UNKNOWN = _object({**PROBLEM, "parameter": _TEXT, "found": _TEXT, "accepted": _list(_TEXT)})
_TOLD = _object({"accepted": _COUNT, "unusable": _COUNT})
_NUMBER = _or_null({"type": "number"})
_READING = _object(
    {
        "kpi": _TEXT, "window": _TEXT, "segment": {"type": "object", "additionalProperties": _TEXT}, "from": _TIME, "at": _TIME,
        "value": _NUMBER, "unit": _TEXT,
    },
    numerator=_NUMBER, denominator=_NUMBER, low=_NUMBER, high=_NUMBER, why=_TEXT, since=_TIME, name=_TEXT,
)  # fmt: skip
_WHY = _object(
    {
        "kpi": _TEXT, "definition": _TEXT, "formula": _TEXT, "reading": _READING, "measures": _list({"type": "object"}),
        "whole": {"type": "boolean"}, "events": {"type": "object"}, "counted": {"type": "object"},
        "differences": _list({"type": "object"}),
    }
)  # fmt: skip
_COUNTED = _object(
    {
        "kpi": _TEXT, "window": _TEXT, "segment": _TEXT, "from": _TIME, "at": _TIME, "count": _COUNT,
        "deals": _list(_object({"entity": _TEXT, "id": _TEXT, "counted_at": _or_null(_TIME), "counts": {"type": "object"}})),
        "next": _or_null(_TEXT),
    }
)  # fmt: skip
_HEALTH = _object(
    {
        "ready": {"type": "boolean"}, "state": _TEXT, "reasons": _list(_TEXT), "degraded": _list(_TEXT), "notices": _list(_TEXT),
    }
)  # fmt: skip
_ACT = _object({"type": {"const": "act"}, "at": _TIME, "by": _TEXT, "act": _TEXT, "via": _TEXT})
_SILENCE = _object({"id": _TEXT, "matchers": _list(_TEXT), "starts": _TIME, "ends": _TIME}, comment=_TEXT, by=_TEXT)
_KPI = _object(
    {
        "id": _TEXT,
        "label": {"type": "object"},
        "definition": _TEXT,
        "definitions": {"type": "object"},
        "formula": _TEXT,
        "unit": _TEXT,
    }
)
_CATALOGUE = _object(
    {"kpis": _list(_KPI), "windows": _list(_TEXT), "dimensions": _list(_TEXT), "currency": _TEXT, "timezone": _TEXT}
)
_TREND = _object({"window": _TEXT, "times": {"type": "array"}, "values": {"type": "object"}})
_ALERT = _object({"id": _TEXT, "rule": _TEXT, "severity": _TEXT, "state": _TEXT, "segment": {"type": "object"}, "since": _TIME})
_PAST = _object({"records": _list({"type": "object"}), "next": _or_null({"type": "integer"})})
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_FORECAST = _object(
    {
        "kpi": _TEXT, "period": _TEXT, "by": _or_null(_TEXT), "from": _TIME, "until": _TIME, "at": _TIME, "phase": _SHARE,
        "unit": _TEXT, "currency": _TEXT, "scenarios": _list({"type": "object"}), "forecasts": _list({"type": "object"}),
        "yardsticks": {"type": "object"}, "best_lately": _or_null({"type": "object"}), "why": _list(_TEXT),
    }
)  # fmt: skip
_FORECAST_SCORES = _object(
    {
        "kpi": _TEXT, "period": _TEXT, "by": _or_null(_TEXT), "unit": _TEXT, "currency": _TEXT,
        "best_lately": _or_null({"type": "object"}), "summary": _list({"type": "object"}),
        "target_probability": {"type": "object"}, "periods": _list({"type": "object"}),
    }
)  # fmt: skip
_EXPECTED = _object({"at": _TIME, "win": _SHARE, "model": _TEXT, "terms": _list({"type": "object"}), "why": _TEXT})
_STAGE = _object({"stage": _or_null(_TEXT), "count": _COUNT, "amount": {"type": "number"}, "stuck": _COUNT})
_PIPELINE = _object({"at": _TIME, "count": _COUNT, "stages": _list(_STAGE)})
_DEAL = _object({"id": _TEXT, "amount": _NUMBER, "win": _NUMBER, "age": {"type": "number"}, "stuck": {"type": "boolean"}})
_DEALS = _object({"count": _COUNT, "amount": {"type": "number"}, "deals": _list(_DEAL), "stages": _list(_TEXT)})
_LEADS = _object({"count": _COUNT, "leads": _list(_object({"id": _TEXT, "waited": {"type": "number"}}))})
_STORY = _object({"entity": _TEXT, "id": _TEXT, "status": _TEXT, "changed": _TIME, "facts": _list({"type": "object"})})
_CUSTOMER = _object({"customer": _TEXT, "why": _or_null(_TEXT)}, R=_COUNT, F=_COUNT, M=_COUNT, x=_COUNT, p_alive=_or_null(_SHARE))
_CUSTOMERS = _object(
    {"as_of": _TEXT, "currency": _TEXT, "total": _COUNT, "segments": {"type": "object"}, "customers": _list(_CUSTOMER)}
)
_LETTER = _object({"id": _TEXT, "reason": _TEXT, "detail": _TEXT, "topic": _TEXT, "first_seen": _COUNT, "redrives": _COUNT})
_LETTERS = _object({"letters": _list(_LETTER), "left_out": _COUNT, "damaged": _list(_TEXT)})
_REDRIVE = {
    **_object({}, ids=_list(_TEXT), reasons=_list(_TEXT), force={"type": "boolean"}),
    "additionalProperties": False,
    "example": {"ids": ["deals-0-17"]},
}
_REDRIVEN = _object({"sent": _COUNT, "refused": {"type": "object"}, "missing": _list(_TEXT)})
_WANTED = {
    **_object({"matchers": {**_list(_TEXT), "minItems": 1}}, starts=_TEXT, ends=_TEXT, duration=_TEXT, comment=_TEXT),
    "additionalProperties": False,
    "example": {"matchers": ["team=sales"], "duration": "2h", "comment": "fair"},
}

_REGISTER = _object({"fields": {"type": "object"}, "places": _list(_object({"where": _TEXT, "holds": _TEXT, "kept": _TEXT}))})
_WHOM = {
    **_object(
        {"kind": {"enum": ["lead", "deal", "customer", "visitor", "owner", "email"]}, "id": {**_TEXT, "minLength": 1}}, why=_TEXT
    ),
    "additionalProperties": False,
    "example": {"kind": "lead", "id": "contact-1"},
}
_CERTIFICATE = _object(
    {"id": _TEXT, "kind": _TEXT, "hashes": _list(_TEXT), "outcome": _TEXT, "asked": _TIME, "by": _TEXT},
    why=_TEXT, known_as={"type": "object"}, found={"type": "object"}, erased=_TIME, gone=_or_null(_TIME), left=_list(_TEXT),
)  # fmt: skip
_HELD = _object({"known_as": _list({"type": "object"}), "held": _list({"type": "object"})})

_GOAL = _object({"kind": {"enum": ["kpi", "text", "guard"]}}, kpi=_TEXT, target=_NUMBER, value=_NUMBER, progress=_NUMBER)
_OBJECTIVE = _object(
    {
        "id": _TEXT,
        "name": _TEXT,
        "of": {"type": "object"},
        "period": _TEXT,
        "state": _TEXT,
        "main": _GOAL,
        "indicators": _list(_GOAL),
    }
)
_OBJECTIVES = _object({"at": _TIME, "currency": _TEXT, "objectives": _list(_OBJECTIVE)})
_CHALLENGE = _object(
    {"id": _TEXT, "name": _TEXT, "kpi": _TEXT, "state": {"enum": ["planned", "running", "ended", "annulled"]}, "from": _TEXT,
     "until": _TEXT, "places": _list({"type": "object"}), "guards": _list({"type": "object"})}
)  # fmt: skip
_CHALLENGES = _object({"at": _TIME, "currency": _TEXT, "challenges": _list(_CHALLENGE)})
_PLAYBOOKS = _object(
    {"currency": _TEXT, "playbooks": _list(_object({"name": _TEXT, "steps": _list(_TEXT), "record": {"type": "object"}}))}
)
_AIM: Schema = {
    **_object({}, name=_TEXT, owner=_TEXT, team=_TEXT, period={"enum": ["month", "week"]}, main={"type": "object"},
              indicators=_list({"type": "object"}), until=_TEXT, id=_TEXT, progress=_SHARE, note=_TEXT, remove={"const": True}),
    "example": {"name": "Ann, every week", "owner": "o-17", "period": "week", "main": {"kpi": "meetings", "target": 12}},
}  # fmt: skip

_TAKEN = _object({"acknowledged": _COUNT, "refused": _list(_object({"line": _COUNT, "reason": _TEXT}))})
_UNFORESEEN = "No such open one is known, or there are no predictions here"
_AWAY = "No numbers yet, or another process has them"
_FULL = "Too much is under way, or the broker is away: nothing was accepted"
_UNREAD = {
    "_400": "Cut off, or not in the encoding it announces",
    "_408": "The body took too long",
    "_413": "The body is too large",
}
_OPERATOR = {"_401": "No operator's token", "_403": "Nobody may act here, or this operator may not"}
_ACTED = {
    "202": _said("The broker has the act", _ACT),
    **_errors(**_OPERATOR, _413="The body is too long", _503="The broker is away"),
}
_REFUSED = "Not here: it is kept on a Kafka, or the settings name this owner"
_BUSY = "The disk is full, or the folds could not write down what they hold: nothing was done"
_BEARER: Schema = {"security": [{"operator": []}]}

#: Beside what FastAPI knows: parameters, bodies and answers, by method and path.
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("get", "/healthz"): {"responses": {"200": _said("It lives", _object({"status": {"const": "ok"}}))}},
    ("get", "/readyz"): {"responses": {"200": _said("Ready", _HEALTH), "503": _said("Not ready, and why", _HEALTH, retry=True)}},
    ("get", "/docs"): {"responses": {"200": _said("The page", None, "text/html")}},
    ("get", "/privacy.json"): {"responses": {"200": _said("The register", _REGISTER)}},
    ("get", "/metrics"): {"responses": {"200": _said("Metrics", None, "text/plain", "application/openmetrics-text")}},
    ("get", "/api/stream"): {
        "parameters": _query("window"),
        "responses": {
            "200": _said("Events without end", None, "text/event-stream"), "400": _problem("No such window", _UNKNOWN),
            **_errors(_503="Too many pages are open"),
        },
    },
    ("get", "/api/kpis"): {
        "parameters": _query("kpi", "window", "by", "format", "at", "from", "to", "every"),
        "responses": {
            "200": _said("Readings", _list(_READING), "text/csv"), "400": _problem("A name that is not known", _UNKNOWN),
            **_errors(_503=_AWAY),
        },
    },
    ("get", "/api/kpis/{kpi}/explain"): {
        "parameters": _query("window", "segment", "at", "by"),
        "responses": {
            "200": _said("The reading, and what it is made of", _WHY), "400": _problem("A name that is not known", _UNKNOWN),
            **_errors(_403="It is about others", _503=_AWAY),
        },
    },
    ("get", "/api/kpis/{kpi}/usual"): {
        "parameters": _query("window", "segment", "at", "with"),
        "responses": {
            "200": _said(
                "Periods and bands",
                _object({"kpi": _TEXT, "window": _TEXT, "points": _list({"type": "object"}), "adds": {"type": "object"}}),
            ),
            "400": _problem("A name that is not known", _UNKNOWN), **_errors(_403="It is about others", _503=_AWAY),
        },
    },
    ("get", "/api/kpis/{kpi}/deals"): {
        "parameters": _query("window", "segment", "at", "id", "limit", "offset", "format"),
        "responses": {
            "200": _said("The deals and leads that it counts", _COUNTED, "text/csv"),
            "400": _problem("A name that is not known", _UNKNOWN), **_errors(_403="It is about others", _503=_AWAY),
        },
    },
    ("get", "/api/journeys"): {
        "parameters": _query("journey", "window", "by", "at"),
        "responses": {
            "200": _said("Funnels", _object({"window": _TEXT, "at": _TIME, "journeys": _list({"type": "object"})})),
            "400": _problem("A name that is not known", _UNKNOWN), **_errors(_503=_AWAY),
        },
    },
    ("get", "/api/baskets"): {
        "parameters": _query("window", "at", "least", "limit"),
        "responses": {
            "200": _said("Pairs", _object({"window": _TEXT, "baskets": _COUNT, "pairs": _list({"type": "object"})})),
            "400": _problem("A name that is not known", _UNKNOWN), **_errors(_503=_AWAY),
        },
    },
    ("get", "/api/trend"): {
        "parameters": _query("window"),
        "responses": {"200": _said("Totals", _TREND), "400": _problem("No such window", _UNKNOWN), **_errors(_503=_AWAY)},
    },
    ("get", "/api/leaderboard"): {
        "parameters": _query("kpi", "window", "by", "all"),
        "responses": {
            "200": _said("Places", {"type": "object"}), "400": _problem("A name that is not known", _UNKNOWN),
            **_errors(_503=_AWAY),
        },
    },
    ("get", "/api/forecast"): {
        "parameters": _query("period", "by", "scenario"),
        "responses": {
            "200": _said("What the period will bring", _FORECAST), "400": _problem("A name that is not known", _UNKNOWN),
            **_errors(_403="Figures of single people are for others", _404="There are no forecasts here", _503=_AWAY),
        },
    },
    ("get", "/api/forecast/scores"): {
        "parameters": _query("period", "by"),
        "responses": {
            "200": _said("How good forecasts have been", _FORECAST_SCORES), "400": _problem("A name that is not known", _UNKNOWN),
            **_errors(_403="Figures of single people are for others", _404="There are no forecasts here", _503=_AWAY),
        },
    },
    ("get", "/api/experiments"): {
        "responses": {"200": _said("Tests of two variants", _list({"type": "object"})), **_errors(_503=_AWAY)}
    },
    ("get", "/api/objectives"): {
        "parameters": _query("owner", "team", "period", "past"),
        "responses": {
            "200": _said("Objectives as they stand", _OBJECTIVES), "400": _problem("A name that is not known", _UNKNOWN),
            **_errors(_503=_AWAY),
        },
    },
    ("post", "/api/objectives"): {
        **_BEARER,
        "requestBody": _body("application/json", schema=_AIM),
        "responses": {
            "202": _said("The broker has it", _object({"id": _TEXT})),
            **_errors(**_OPERATOR, _400="It cannot be used, and why", _404="No such objective",
                      _409="It is declared in the settings", _413="The body is too long", _503="The broker is away"),
        },
    },
    ("get", "/api/objectives/templates"): {"responses": {"200": _said("Objectives to begin with", {"type": "object"})}},
    ("get", "/api/challenges"): {
        "parameters": _query("all", "dry_run"),
        "responses": {
            "200": _said("Challenges as they stand", _CHALLENGES), "400": _problem("A name that is not known", _UNKNOWN),
            **_errors(_503=_AWAY),
        },
    },
    ("get", "/api/playbooks"): {"responses": {"200": _said("Playbooks and their record", _PLAYBOOKS), **_errors(_503=_AWAY)}},
    ("get", "/api/catalogue"): {"responses": {"200": _said("KPIs", _CATALOGUE)}},
    ("get", "/api/alerts"): {
        "parameters": _query("incident", "language"),
        "responses": {
            "200": _said("Alerts", _list(_ALERT)),
            "400": _problem("A language that is not known", _UNKNOWN), **_errors(_503=_AWAY),
        },
    },
    ("get", "/api/pipeline"): {"responses": {"200": _said("Stages, in their order", _PIPELINE), **_errors(_503=_AWAY)}},
    ("get", "/api/deals"): {
        "parameters": _query("sort", "search", "stage", "owner", "stuck", "limit"),
        "responses": {
            "200": _said("Open deals", _DEALS), "400": _problem("A name that is not known", _UNKNOWN), **_errors(_503=_AWAY),
        },
    },
    ("get", "/api/waiting"): {"responses": {"200": _said("Leads that wait", _LEADS), **_errors(_503=_AWAY)}},
    ("get", "/api/entities/{entity}/{key}"): {
        "responses": {
            "200": _said("Its present and its facts", _STORY), "400": _problem("No such kind", _UNKNOWN),
            **_errors(_404="Nothing is known under this id", _503=_AWAY),
        },
    },
    ("get", "/api/counted/{entity}/{key}"): {
        "parameters": _query("window"),
        "responses": {
            "200": _said(
                "The figures that count it",
                _object({"entity": _TEXT, "id": _TEXT, "window": _TEXT, "at": _TIME, "figures": _list({"type": "object"})}),
            ),
            "400": _problem("No such kind", _UNKNOWN), **_errors(_404="Nothing is known under this id", _503=_AWAY),
        },
    },
    ("post", "/api/alerts/{incident}/ack"): {**_BEARER, "responses": {**_ACTED, **_errors(_404="No such alert stands")}},
    ("post", "/api/alerts/{incident}/unack"): {**_BEARER, "responses": {**_ACTED, **_errors(_404="No such alert stands")}},
    ("post", "/api/events"): {
        **_BEARER,
        "requestBody": _body("application/x-ndjson", "application/json"),
        "responses": {
            "200": _said("What was taken in, and which lines are no events", _TAKEN),
            **_errors(**_OPERATOR, _413="Too many lines, or too large", _503="The broker is away, or the instance is starting"),
        },
    },
    ("post", "/api/privacy/erase"): {
        **_BEARER,
        "requestBody": _body("application/json", schema=_WHOM),
        "responses": {
            "200": _said("It is done, and gone", _CERTIFICATE),
            **_errors(**_OPERATOR, **_UNREAD, _409=_REFUSED, _503=_BUSY),
        },
    },
    ("post", "/api/privacy/queued"): {
        **_BEARER,
        "responses": {
            "200": _said("Their certificates", _list(_CERTIFICATE)),
            **_errors(**_OPERATOR, **_UNREAD, _409=_REFUSED, _503=_BUSY),
        },
    },
    ("post", "/api/privacy/export"): {
        **_BEARER,
        "requestBody": _body("application/json", schema=_WHOM),
        "responses": {"200": _said("All that is held", _HELD), **_errors(**_OPERATOR, **_UNREAD, _409=_REFUSED, _503=_BUSY)},
    },
    ("get", "/api/privacy/erasures"): {
        **_BEARER,
        "responses": {"200": _said("The certificates", _list(_CERTIFICATE)), **_errors(**_OPERATOR, **_UNREAD, _409=_REFUSED)},
    },
    ("post", "/api/silences"): {
        **_BEARER,
        "requestBody": _body("application/json", schema=_WANTED),
        "responses": {**_ACTED, **_errors(_400="Not a silence, and why")},
    },
    ("delete", "/api/silences/{id_}"): {**_BEARER, "responses": {**_ACTED, **_errors(_404="No such silence")}},
    ("get", "/api/silences"): {"responses": {"200": _said("Silences", _list(_SILENCE)), **_errors(_503=_AWAY)}},
    ("get", "/api/alerts/history"): {
        **_BEARER,
        "parameters": _query("incident", "rule", "type", "by", "limit", "before"),
        "responses": {
            "200": _said("Records, newest first", _PAST),
            **_errors(**_OPERATOR, _400="A parameter that is not known", _503="Others are reading, or the broker is away"),
        },
    },
    ("get", "/api/dead-letters"): {
        **_BEARER,
        "parameters": _query("reason"),
        "responses": {
            "200": _said("Those that stand, oldest first", _LETTERS),
            **_errors(**_OPERATOR, **_UNREAD, _503="The broker is away"),
        },
    },
    ("get", "/api/dead-letters/{id}"): {
        **_BEARER,
        "responses": {
            "200": _said("One, with the record", _LETTER),
            **_errors(**_OPERATOR, **_UNREAD, _404="No such dead letter", _503="The broker is away"),
        },
    },
    ("post", "/api/dead-letters/redrive"): {
        **_BEARER,
        "requestBody": _body("application/json", schema=_REDRIVE),
        "responses": {
            "200": _said("What became of them", _REDRIVEN),
            **_errors(
                **_OPERATOR, **_UNREAD, _409="Another redrive has begun, or bad settings", _503="The broker is away"
            ),
        },
    },
    ("get", "/api/predictions/{deal}"): {
        "responses": {"200": _said("What is expected, and why", _EXPECTED), **_errors(_404=_UNFORESEEN, _503=_AWAY)}
    },
    ("get", "/api/leads/{lead}"): {
        "responses": {"200": _said("What is expected, and why", _EXPECTED), **_errors(_404=_UNFORESEEN, _503=_AWAY)}
    },
    ("get", "/api/models"): {
        "responses": {"200": _said("Models", _list({"type": "object"})), **_errors(_404="There are no predictions here")}
    },
    ("get", "/api/models/{model}/document"): {
        "responses": {"200": _said("The model", {"type": "object"}), **_errors(_404="No such model has been sent round yet")}
    },
    ("get", "/api/customers"): {
        "parameters": _query("segment", "sort", "order", "limit", "offset", "format", "as_of"),
        "responses": {
            "200": _said("Customers", _CUSTOMERS, "application/x-ndjson"),
            **_errors(_400="A parameter that is not known, or its value", _503=_AWAY),
        },
    },
    ("get", "/api/customers/{customer}"): {
        "responses": {"200": _said("A customer", _CUSTOMER), **_errors(_404="No such customer is known", _503=_AWAY)}
    },
    ("get", "/api/customer-moves"): {
        "parameters": _query("since", "as_of", "left", "joined", "limit"),
        "responses": {
            "200": _said("Moves", _object({"since": _TEXT, "as_of": _TEXT, "total": _COUNT, "moves": _list({"type": "object"})})),
            **_errors(_400="A parameter that is not known, or its value", _503=_AWAY),
        },
    },
    ("get", "/api/customer-models"): {
        "parameters": _query("as_of"),
        "responses": {
            "200": _said("Parameters", _object({"as_of": _TEXT, "customers": _COUNT})),
            **_errors(_400="Not a day", _503=_AWAY),
        },
    },
    ("put", "/api/models/{model}/document"): {
        **_BEARER,
        "requestBody": _body("application/json", schema={"type": "object"}),
        "responses": {
            "202": _said("The log has it", {"type": "object"}),
            **_errors(**_OPERATOR, **_UNREAD | {"_400": "Cut off, or no document of this model"}, _503="The broker is away"),
        },
    },
    ("delete", "/api/models/{model}/document"): {
        **_BEARER,
        "responses": {
            "202": _said("The log has it", {"type": "object"}),
            **_errors(**_OPERATOR, _404="No such model", _503="The broker is away"),
        },
    },
    ("post", "/slack/interactivity"): {
        "requestBody": _body("application/x-www-form-urlencoded", schema={"type": "object"}),
        "responses": {
            "200": _said("Done"),
            "400": _said("Not what Slack sends"),
            "401": _said("Not signed by Slack"),
            "403": _said("Not a link"),
            "410": _said("The link is used or old"),
            "413": _said("The body is too large"),
            "503": _said("The broker is away"),
        },
    },
    ("post", "/webhooks/{source}"): {
        "requestBody": _body("application/json", "text/xml", required=False),
        "responses": {
            "200": _said("The broker has what came of it", _TOLD, "text/xml"),
            **_door_errors(
                **_UNREAD, _401="Not authentic", _404="No such source", _415="An encoding that is not known",
                _429="Too many requests of this source", _503=_FULL,
            ),
        },
    },
    ("post", "/collect"): {
        "parameters": _query("site"),
        "requestBody": _body("text/plain", "application/json", required=False),
        "responses": {
            "202": _said("The broker has what came of it", _TOLD),
            "204": _said("Nothing was kept, and nothing shall be sent again"),
            **_door_errors(
                **_UNREAD, _401="No such site", _403="Not an origin of this site", _415="Another kind of content",
                _429="Too many requests", _503=_FULL,
            ),
        },
    },
    **FEEDS,
    ("options", "/collect"): {
        "parameters": _query("site"),
        "responses": {"204": _said("A page of this origin may send"), **_door_errors(_403="It may not")},
    },
}  # fmt: skip

#: Of all that is read, and of acts: where others than this machine can ask (stream/web/access.py).
_GUARDED = _errors(
    _401="No proof that you may read", _421="Not a name of this instance", _429="Too many wrong tokens of this address"
)
for _which, _example in EXAMPLES.items():
    OPERATIONS[_which]["responses"]["200"]["content"]["application/json"]["example"] = _example
for (_, _path), _operation in OPERATIONS.items():
    if _path.startswith(("/api/", "/odata/")) or _path == "/metrics":
        _operation["responses"] = {**_GUARDED, **_operation["responses"]}


#: How the routes are grouped, by what their paths begin with.
_TAGS = {
    "figures": (
        "Figures",
        (
            "/api/kpis",
            "/api/objectives",
            "/api/challenges",
            "/api/trend",
            "/api/catalogue",
            "/api/leaderboard",
            "/api/experiments",
            "/api/stream",
        ),
    ),
    "deals": (
        "Deals, leads, customers",
        ("/api/deals", "/api/pipeline", "/api/waiting", "/api/entities", "/api/counted", "/api/customer"),
    ),
    "predictions": ("What is expected", ("/api/predictions", "/api/leads", "/api/models", "/api/forecast")),
    "alerts": ("Alerts", ("/api/alerts", "/api/silences", "/slack")),
    "tables": ("Tables for other tools", ("/odata", "/api/export")),
    "events": ("What comes in", ("/api/events", "/webhooks", "/collect", "/api/dead-letters")),
    "privacy": ("Personal data", ("/api/privacy", "/privacy.json")),
    "service": ("The service itself", ("",)),
}
_ABOUT = """Reads figures of sales, and takes events in. This is version 1: what is here stays; what comes is added.

Who may read shows a token, ``Authorization: Bearer TOKEN`` (``docs/security.md``), but on the machine's own address. Errors are
problem details (RFC 9457): ``detail`` says what was found and what is accepted. Answers have an ``ETag``: ask again with
``If-None-Match``, and what has not changed is not sent again (304). Times are UTC, money is in units of the business currency."""


def _tag(path: str) -> str:
    return next(tag for tag, (_, begins) in _TAGS.items() if path.startswith(begins))


def document(app: FastAPI) -> None:
    """Make ``/openapi.json`` say what is written here, of the routes that the application has when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            found = get_openapi(title="The API of Vigie", version=version("vigie"), description=_ABOUT, routes=app.routes)
            found["tags"] = [{"name": name, "description": said} for name, (said, _) in _TAGS.items()]
            for path, operations in found["paths"].items():
                for method, operation in operations.items():
                    operation |= {"tags": [_tag(path)], **OPERATIONS.get((method, path), {})}
            found["components"] = {"securitySchemes": {"operator": {"type": "http", "scheme": "bearer"}}}
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
