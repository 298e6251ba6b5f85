"""What do the routes take and answer? The parts of the OpenAPI document that no type in the code says, by route.

The routes read and answer bytes, since most are bounded and checked by hand; so their document is kept here, by method and
path, and a test compares it with what a running instance does.
"""

from typing import Any

from stream.web.feeds.schema import FEEDS
from stream.web.schema_examples import EXAMPLES
from stream.web.schema_parts import COUNT, TEXT, TIME, Schema, a_list, an_object, body, door_errors, errors, problem, query, said
from stream.web.schema_shapes import (
    ACT,
    AIM,
    ALERT,
    CATALOGUE,
    CERTIFICATE,
    CHALLENGES,
    COUNTED,
    COUNTING,
    CUSTOMER,
    CUSTOMERS,
    DEALS,
    EXPECTED,
    FORECAST,
    FORECAST_SCORES,
    HEALTH,
    HELD,
    INTAKE,
    LEADS,
    LETTER,
    LETTERS,
    OBJECTIVES,
    PAST,
    PIPELINE,
    PLAYBOOKS,
    READING,
    REDRIVE,
    REDRIVEN,
    REGISTER,
    SILENCE,
    STORY,
    TAKEN,
    TREND,
    UNKNOWN,
    WANTED,
    WHOM,
    WHY,
)

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
    "202": said("The broker has the act", ACT),
    **errors(**_OPERATOR, _413="The body is too long", _503="The broker is away"),
}
_REFUSED = "Not here: it is kept on a Kafka, or the settings name this owner"
_BUSY = "The disk is full, or the folds could not write down what they hold: nothing was done"
_BEARER: Schema = {"security": [{"operator": []}]}

#: Beside what FastAPI knows: parameters, bodies and answers, by method and path.
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("get", "/healthz"): {"responses": {"200": said("It lives", an_object({"status": {"const": "ok"}}))}},
    ("get", "/readyz"): {"responses": {"200": said("Ready", HEALTH), "503": said("Not ready, and why", HEALTH, retry=True)}},
    ("get", "/docs"): {"responses": {"200": said("The page", None, "text/html")}},
    ("get", "/privacy.json"): {"responses": {"200": said("The register", REGISTER)}},
    ("get", "/metrics"): {"responses": {"200": said("Metrics", None, "text/plain", "application/openmetrics-text")}},
    ("get", "/api/stream"): {
        "parameters": query("window"),
        "responses": {
            "200": said("Events without end", None, "text/event-stream"), "400": problem("No such window", UNKNOWN),
            **errors(_503="Too many pages are open"),
        },
    },
    ("get", "/api/kpis"): {
        "parameters": query("kpi", "window", "by", "format", "at", "from", "to", "every"),
        "responses": {
            "200": said("Readings", a_list(READING), "text/csv"), "400": problem("A name that is not known", UNKNOWN),
            **errors(_503=_AWAY),
        },
    },
    ("get", "/api/kpis/{kpi}/explain"): {
        "parameters": query("window", "segment", "at", "by"),
        "responses": {
            "200": said("The reading, and what it is made of", WHY), "400": problem("A name that is not known", UNKNOWN),
            **errors(_403="It is about others", _503=_AWAY),
        },
    },
    ("get", "/api/kpis/{kpi}/usual"): {
        "parameters": query("window", "segment", "at", "with"),
        "responses": {
            "200": said(
                "Periods and bands",
                an_object({"kpi": TEXT, "window": TEXT, "points": a_list({"type": "object"}), "adds": {"type": "object"}}),
            ),
            "400": problem("A name that is not known", UNKNOWN), **errors(_403="It is about others", _503=_AWAY),
        },
    },
    ("get", "/api/kpis/{kpi}/deals"): {
        "parameters": query("window", "segment", "at", "id", "limit", "offset", "format"),
        "responses": {
            "200": said("The deals and leads that it counts", COUNTED, "text/csv"),
            "400": problem("A name that is not known", UNKNOWN), **errors(_403="It is about others", _503=_AWAY),
        },
    },
    ("get", "/api/journeys"): {
        "parameters": query("journey", "window", "by", "at"),
        "responses": {
            "200": said("Funnels", an_object({"window": TEXT, "at": TIME, "journeys": a_list({"type": "object"})})),
            "400": problem("A name that is not known", UNKNOWN), **errors(_503=_AWAY),
        },
    },
    ("get", "/api/baskets"): {
        "parameters": query("window", "at", "least", "limit"),
        "responses": {
            "200": said("Pairs", an_object({"window": TEXT, "baskets": COUNT, "pairs": a_list({"type": "object"})})),
            "400": problem("A name that is not known", UNKNOWN), **errors(_503=_AWAY),
        },
    },
    ("get", "/api/trend"): {
        "parameters": query("window"),
        "responses": {"200": said("Totals", TREND), "400": problem("No such window", UNKNOWN), **errors(_503=_AWAY)},
    },
    ("get", "/api/leaderboard"): {
        "parameters": query("kpi", "window", "by", "all"),
        "responses": {
            "200": said("Places", {"type": "object"}), "400": problem("A name that is not known", UNKNOWN),
            **errors(_503=_AWAY),
        },
    },
    ("get", "/api/forecast"): {
        "parameters": query("period", "by", "scenario"),
        "responses": {
            "200": said("What the period will bring", FORECAST), "400": problem("A name that is not known", UNKNOWN),
            **errors(_403="Figures of single people are for others", _404="There are no forecasts here", _503=_AWAY),
        },
    },
    ("get", "/api/forecast/scores"): {
        "parameters": query("period", "by"),
        "responses": {
            "200": said("How good forecasts have been", FORECAST_SCORES), "400": problem("A name that is not known", UNKNOWN),
            **errors(_403="Figures of single people are for others", _404="There are no forecasts here", _503=_AWAY),
        },
    },
    ("get", "/api/experiments"): {
        "responses": {"200": said("Tests of two variants", a_list({"type": "object"})), **errors(_503=_AWAY)}
    },
    ("get", "/api/objectives"): {
        "parameters": query("owner", "team", "period", "past"),
        "responses": {
            "200": said("Objectives as they stand", OBJECTIVES), "400": problem("A name that is not known", UNKNOWN),
            **errors(_503=_AWAY),
        },
    },
    ("post", "/api/objectives"): {
        **_BEARER,
        "requestBody": body("application/json", schema=AIM),
        "responses": {
            "202": said("The broker has it", an_object({"id": TEXT})),
            **errors(**_OPERATOR, _400="It cannot be used, and why", _404="No such objective",
                      _409="It is declared in the settings", _413="The body is too long", _503="The broker is away"),
        },
    },
    ("get", "/api/objectives/templates"): {"responses": {"200": said("Objectives to begin with", {"type": "object"})}},
    ("get", "/api/challenges"): {
        "parameters": query("all", "dry_run"),
        "responses": {
            "200": said("Challenges as they stand", CHALLENGES), "400": problem("A name that is not known", UNKNOWN),
            **errors(_503=_AWAY),
        },
    },
    ("get", "/api/playbooks"): {"responses": {"200": said("Playbooks and their record", PLAYBOOKS), **errors(_503=_AWAY)}},
    ("get", "/api/catalogue"): {"responses": {"200": said("KPIs", CATALOGUE)}},
    ("get", "/api/alerts"): {
        "parameters": query("incident", "language"),
        "responses": {
            "200": said("Alerts", a_list(ALERT)),
            "400": problem("A language that is not known", UNKNOWN), **errors(_503=_AWAY),
        },
    },
    ("get", "/api/pipeline"): {"responses": {"200": said("Stages, in their order", PIPELINE), **errors(_503=_AWAY)}},
    ("get", "/api/deals"): {
        "parameters": query("sort", "search", "stage", "owner", "stuck", "limit"),
        "responses": {
            "200": said("Open deals", DEALS), "400": problem("A name that is not known", UNKNOWN), **errors(_503=_AWAY),
        },
    },
    ("get", "/api/waiting"): {"responses": {"200": said("Leads that wait", LEADS), **errors(_503=_AWAY)}},
    ("get", "/api/entities/{entity}/{key}"): {
        "responses": {
            "200": said("Its present and its facts", STORY), "400": problem("No such kind", UNKNOWN),
            **errors(_404="Nothing is known under this id", _503=_AWAY),
        },
    },
    ("get", "/api/counted/{entity}/{key}"): {
        "parameters": query("window"),
        "responses": {
            "200": said("The figures that count it", COUNTING),
            "400": problem("No such kind", UNKNOWN), **errors(_404="Nothing is known under this id", _503=_AWAY),
        },
    },
    ("post", "/api/alerts/{incident}/ack"): {**_BEARER, "responses": {**_ACTED, **errors(_404="No such alert stands")}},
    ("post", "/api/alerts/{incident}/unack"): {**_BEARER, "responses": {**_ACTED, **errors(_404="No such alert stands")}},
    ("post", "/api/events"): {
        **_BEARER,
        "requestBody": body("application/x-ndjson", "application/json"),
        "responses": {
            "200": said("What was taken in, and which lines are no events", TAKEN),
            **errors(**_OPERATOR, _413="Too many lines, or too large", _503="The broker is away, or the instance is starting"),
        },
    },
    ("post", "/api/privacy/erase"): {
        **_BEARER,
        "requestBody": body("application/json", schema=WHOM),
        "responses": {
            "200": said("It is done, and gone", CERTIFICATE),
            **errors(**_OPERATOR, **_UNREAD, _409=_REFUSED, _503=_BUSY),
        },
    },
    ("post", "/api/privacy/queued"): {
        **_BEARER,
        "responses": {
            "200": said("Their certificates", a_list(CERTIFICATE)),
            **errors(**_OPERATOR, **_UNREAD, _409=_REFUSED, _503=_BUSY),
        },
    },
    ("post", "/api/privacy/export"): {
        **_BEARER,
        "requestBody": body("application/json", schema=WHOM),
        "responses": {"200": said("All that is held", HELD), **errors(**_OPERATOR, **_UNREAD, _409=_REFUSED, _503=_BUSY)},
    },
    ("get", "/api/privacy/erasures"): {
        **_BEARER,
        "responses": {"200": said("The certificates", a_list(CERTIFICATE)), **errors(**_OPERATOR, **_UNREAD, _409=_REFUSED)},
    },
    ("post", "/api/silences"): {
        **_BEARER,
        "requestBody": body("application/json", schema=WANTED),
        "responses": {**_ACTED, **errors(_400="Not a silence, and why")},
    },
    ("delete", "/api/silences/{id_}"): {**_BEARER, "responses": {**_ACTED, **errors(_404="No such silence")}},
    ("get", "/api/silences"): {"responses": {"200": said("Silences", a_list(SILENCE)), **errors(_503=_AWAY)}},
    ("get", "/api/alerts/history"): {
        **_BEARER,
        "parameters": query("incident", "rule", "type", "by", "limit", "before"),
        "responses": {
            "200": said("Records, newest first", PAST),
            **errors(**_OPERATOR, _400="A parameter that is not known", _503="Others are reading, or the broker is away"),
        },
    },
    ("get", "/api/dead-letters"): {
        **_BEARER,
        "parameters": query("reason"),
        "responses": {
            "200": said("Those that stand, oldest first", LETTERS),
            **errors(**_OPERATOR, **_UNREAD, _503="The broker is away"),
        },
    },
    ("get", "/api/dead-letters/{id}"): {
        **_BEARER,
        "responses": {
            "200": said("One, with the record", LETTER),
            **errors(**_OPERATOR, **_UNREAD, _404="No such dead letter", _503="The broker is away"),
        },
    },
    ("post", "/api/dead-letters/redrive"): {
        **_BEARER,
        "requestBody": body("application/json", schema=REDRIVE),
        "responses": {
            "200": said("What became of them", REDRIVEN),
            **errors(
                **_OPERATOR, **_UNREAD, _409="Another redrive has begun, or bad settings", _503="The broker is away"
            ),
        },
    },
    ("get", "/api/predictions/{deal}"): {
        "responses": {"200": said("What is expected, and why", EXPECTED), **errors(_404=_UNFORESEEN, _503=_AWAY)}
    },
    ("get", "/api/leads/{lead}"): {
        "responses": {"200": said("What is expected, and why", EXPECTED), **errors(_404=_UNFORESEEN, _503=_AWAY)}
    },
    ("get", "/api/models"): {
        "responses": {"200": said("Models", a_list({"type": "object"})), **errors(_404="There are no predictions here")}
    },
    ("get", "/api/models/{model}/document"): {
        "responses": {"200": said("The model", {"type": "object"}), **errors(_404="No such model has been sent round yet")}
    },
    ("get", "/api/customers"): {
        "parameters": query("segment", "sort", "order", "limit", "offset", "format", "as_of"),
        "responses": {
            "200": said("Customers", CUSTOMERS, "application/x-ndjson"),
            **errors(_400="A parameter that is not known, or its value", _503=_AWAY),
        },
    },
    ("get", "/api/customers/{customer}"): {
        "responses": {"200": said("A customer", CUSTOMER), **errors(_404="No such customer is known", _503=_AWAY)}
    },
    ("get", "/api/customer-moves"): {
        "parameters": query("since", "as_of", "left", "joined", "limit"),
        "responses": {
            "200": said("Moves", an_object({"since": TEXT, "as_of": TEXT, "total": COUNT, "moves": a_list({"type": "object"})})),
            **errors(_400="A parameter that is not known, or its value", _503=_AWAY),
        },
    },
    ("get", "/api/customer-models"): {
        "parameters": query("as_of"),
        "responses": {
            "200": said("Parameters", an_object({"as_of": TEXT, "customers": COUNT})),
            **errors(_400="Not a day", _503=_AWAY),
        },
    },
    ("put", "/api/models/{model}/document"): {
        **_BEARER,
        "requestBody": body("application/json", schema={"type": "object"}),
        "responses": {
            "202": said("The log has it", {"type": "object"}),
            **errors(**_OPERATOR, **_UNREAD | {"_400": "Cut off, or no document of this model"}, _503="The broker is away"),
        },
    },
    ("delete", "/api/models/{model}/document"): {
        **_BEARER,
        "responses": {
            "202": said("The log has it", {"type": "object"}),
            **errors(**_OPERATOR, _404="No such model", _503="The broker is away"),
        },
    },
    ("post", "/slack/interactivity"): {
        "requestBody": body("application/x-www-form-urlencoded", schema={"type": "object"}),
        "responses": {
            "200": said("Done"),
            "400": said("Not what Slack sends"),
            "401": said("Not signed by Slack"),
            "403": said("Not a link"),
            "410": said("The link is used or old"),
            "413": said("The body is too large"),
            "503": said("The broker is away"),
        },
    },
    ("post", "/webhooks/{source}"): {
        "requestBody": body("application/json", "text/xml", required=False),
        "responses": {
            "200": said("The broker has what came of it", INTAKE, "text/xml"),
            **door_errors(
                **_UNREAD, _401="Not authentic", _404="No such source", _415="An encoding that is not known",
                _429="Too many requests of this source", _503=_FULL,
            ),
        },
    },
    ("post", "/collect"): {
        "parameters": query("site"),
        "requestBody": body("text/plain", "application/json", required=False),
        "responses": {
            "202": said("The broker has what came of it", INTAKE),
            "204": said("Nothing was kept, and nothing shall be sent again"),
            **door_errors(
                **_UNREAD, _401="No such site", _403="Not an origin of this site", _415="Another kind of content",
                _429="Too many requests", _503=_FULL,
            ),
        },
    },
    **FEEDS,
    ("options", "/collect"): {
        "parameters": query("site"),
        "responses": {"204": said("A page of this origin may send"), **door_errors(_403="It may not")},
    },
}  # fmt: skip

#: Of all that is read, and of acts: where others than this machine can ask (stream/web/access.py).
_GUARDED = errors(
    _401="No proof that you may read", _421="Not a name of this instance", _429="Too many wrong tokens of this address"
)
for _which, _example in EXAMPLES.items():
    OPERATIONS[_which]["responses"]["200"]["content"]["application/json"]["example"] = _example
for (_, _path), _operation in OPERATIONS.items():
    if _path.startswith(("/api/", "/odata/")) or _path == "/metrics":
        _operation["responses"] = {**_GUARDED, **_operation["responses"]}
