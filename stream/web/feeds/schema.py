"""What do the routes of the tables take and answer, for the OpenAPI document?"""

from typing import Any

from models.feeds.query import OPTIONS
from stream.web.feeds.export import PARAMETERS as EXPORT
from stream.web.feeds.odata import PARAMETERS
from stream.web.schema_parts import TEXT, a_list, an_object, errors, query, said

_REFUSED = an_object({"error": an_object({"code": TEXT, "message": TEXT})})
_ROWS = an_object({"value": a_list({"type": "object"})})


def _refusals(*statuses: int) -> dict[str, Any]:
    texts = {
        400: "A name, a value or an option that is not known",
        403: "This is about everybody: the token shows some owners' and teams' figures only",
        406: "Another format than JSON",
        404: "No such feed, or no such row",
        501: "OData knows it, this service does not",
        503: "No numbers yet, or another process has them",
    }
    return {str(status): said(texts[status], _REFUSED, retry=status == 503) for status in statuses}


#: By method and path, as ``OPERATIONS`` of ``stream/web/schema.py``.
FEEDS: dict[tuple[str, str], dict[str, Any]] = {
    ("get", "/api/export"): {
        "parameters": query(*EXPORT),
        "responses": {
            "200": said("The table", None, "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"),
            "206": said("A part of it", None, "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"),
            "304": said("It is what you have"),
            **errors(_400="A name or a value that is not known"),
            "416": said("No such part"),
            **errors(
                _403="This is about everybody", _501="Not supported here", _503="No numbers yet, or another process has them"
            ),
        },
    },
    ("get", "/odata/v4"): {"responses": {"200": said("The feeds", _ROWS)}},
    ("get", "/odata/v4/$metadata"): {"responses": {"200": said("What the feeds hold (CSDL)", None, "application/xml")}},
    ("get", "/odata/v4/vigie.pbids"): {"responses": {"200": said("A file for Power BI Desktop", {"type": "object"})}},
    ("get", "/odata/v4/{feed}/$count"): {
        "parameters": query("$filter", *PARAMETERS),
        "responses": {"200": said("How many", None, "text/plain"), **_refusals(400, 403, 404, 406, 501, 503)},
    },
    ("get", "/odata/v4/{feed}"): {
        "parameters": query(*OPTIONS, *PARAMETERS),
        "responses": {"200": said("Rows, or one of them", {"type": "object"}), **_refusals(400, 403, 404, 406, 501, 503)},
    },
}
