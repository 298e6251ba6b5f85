"""Which requests are written down, under which names, and what becomes of it when that is not possible."""

from collections.abc import Sequence

import pytest

from models.privacy.audit import read, verify
from stream.ingest.intake import NotAcknowledged, Outgoing
from stream.web.audit import Auditor, judged


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/api/entities/lead/a/b", ("GET /api/entities/lead/{id}", "lead", "a/b")),
        ("GET", "/api/customers/7", ("GET /api/customers/{id}", "customer", "7")),
        ("GET", "/api/customers", ("GET /api/customers", "", "")),
        ("GET", "/api/deals", ("GET /api/deals", "", "")),
        ("GET", "/api/kpis/win_rate/deals", ("GET /api/kpis/win_rate/deals", "", "")),
        ("GET", "/odata/v4/Leads('ann')", ("GET /odata/v4/Leads(…)", "", "")),
        ("POST", "/api/alerts/3f/ack", ("POST /api/alerts/3f/ack", "", "")),
        ("POST", "/act/secret", ("POST /act/…", "", "")),
        ("GET", "/api/kpis", None),
        ("GET", "/metrics", None),
        ("GET", "/static/page.js", None),
        ("POST", "/webhooks/crm", None),
        ("POST", "/collect", None),
    ],
)
def test_what_is_about_persons_or_changes_something_is_written_without_ids(
    method: str, path: str, found: tuple[str, str, str] | None
) -> None:
    assert judged(method, path) == found


class Log:
    """A topic, which may be away."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.away = False

    async def put(self, records: Sequence[Outgoing]) -> None:
        if self.away:
            raise NotAcknowledged("gone fishing")
        self.records += records

    def last(self) -> str:
        found = read(self.records[-1].value) if self.records else None
        return found.hash if found else ""


async def test_what_could_not_be_written_is_said_and_what_follows_is_whole() -> None:
    log = Log()
    auditor = Auditor(log, "w1", log.last, clock=lambda: 1_000)
    await auditor.write("ann", "POST /api/silences", "", "", via="127.0.0.1", status=200)
    log.away = True
    await auditor.write("ann", "POST /api/silences", "", "", via="127.0.0.1", status=200)
    assert auditor.warnings() == ["audit: 1 entries could not be written since the start; the log has them"]
    log.away = False
    await auditor.write("bob", "DELETE /api/silences/x", "", "", via="127.0.0.1", status=200)
    stands = verify(record.value for record in log.records)
    assert [(stand.entries, stand.wrong) for stand in stands.values()] == [(2, []), (2, [])]


async def test_a_reading_is_written_once_an_hour_for_each_who_reads() -> None:
    now = [0]
    auditor = Auditor(Log(), "w1", lambda: "", clock=lambda: now[0])
    what = "GET /api/deals"
    assert [auditor.wanted(by, what, "") for by in ("ann", "ann", "bob")] == [True, False, True]
    now[0] = 3_600_000
    assert auditor.wanted("ann", what, "")


async def test_what_is_being_written_at_the_end_is_waited_for() -> None:
    log = Log()
    auditor = Auditor(log, "w1", log.last, clock=lambda: 1_000)
    auditor.begin("ann", "POST /api/silences", "", "", via="127.0.0.1", status=200)
    assert log.records == []
    await auditor.close()
    assert len(log.records) == 2
