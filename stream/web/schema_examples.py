"""What does an answer look like? Examples for the OpenAPI document; a test holds them against it."""

from typing import Any

_SEGMENT = {"owner": "ann"}
#: By method and path: the answer with 200.
EXAMPLES: dict[tuple[str, str], Any] = {
    ("get", "/api/kpis"): [
        {
            "kpi": "win_rate", "window": "30d", "segment": _SEGMENT, "from": "2026-10-20T14:00:00Z", "at": "2026-11-19T14:00:00Z",
            "value": 0.25, "numerator": 5, "denominator": 20, "low": 0.112, "high": 0.4687, "unit": "ratio", "sample": 20,
        }
    ],
    ("get", "/api/alerts"): [
        {
            "id": "win-rate-drop-3", "rule": "win-rate-drop", "severity": "warn", "state": "firing", "segment": {"source": "web"},
            "since": "2026-11-19T12:00:00Z", "kpi": "win_rate", "window": "30d", "value": 0.14, "threshold": 0.2,
        }
    ],
    ("get", "/api/deals"): {
        "count": 1, "amount": 12000.0, "stages": ["demo"],
        "deals": [{"id": "D-1", "owner": "ann", "stage": "demo", "amount": 12000.0, "win": 0.31, "age": 86400.0, "stuck": False}],
    },
    ("get", "/odata/v4/{feed}"): {
        "@odata.context": "https://vigie.example.com/odata/v4/$metadata#deals(id,status,amount)",
        "value": [{"id": "D-1", "status": "won", "amount": 12000.0}],
        "@odata.nextLink": "https://vigie.example.com/odata/v4/deals?$select=id%2Cstatus%2Camount&$skiptoken=WzE3OTUsIkQtMSJd",
    },
    ("post", "/api/events"): {"acknowledged": 1, "refused": []},
}  # fmt: skip
