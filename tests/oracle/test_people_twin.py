"""Does SQL tell the same of a company's people and baskets, from the events alone?"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import duckdb
import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, epoch_ms
from models.customers.baskets import Baskets, pairs
from models.events.catalogue import TOPIC_OF
from models.fold import Record
from models.folds.partition import EntityPartition
from models.funnels import Funnel, FunnelStep, Match
from models.journeys.people import People
from models.journeys.walk import journey
from models.simulator import Mischief, World

START, DAYS = datetime(2026, 1, 5, tzinfo=UTC), 30
FUNNEL = Funnel(
    "way",
    (
        FunnelStep("Called", (Match("web.cta_clicked"), Match("web.form_submitted"), Match("web.demo_requested"))),
        FunnelStep("Lead", (Match("lead.created"),)),
        FunnelStep("Qualified", (Match("lead.qualified"),)),
        FunnelStep("Deal", (Match("deal.created"),)),
        FunnelStep("Won", (Match("deal.won"),)),
    ),
    within=20 * DAY_MS,
)
BUSINESS = Business(funnels=(FUNNEL,))
FROM, UNTIL = epoch_ms(START) + 3 * DAY_MS, epoch_ms(START) + 28 * DAY_MS

#: Each event once; who is whose lead by the last that says so; a sale stands if nothing has come after it.
WAYS = """
WITH events AS (
    SELECT id, any_value(epoch_ms(CAST(time AS TIMESTAMPTZ))) AS t, any_value(type) AS type, any_value(subject) AS subject,
           any_value(data ->> 'lead_id') AS lead, any_value(data ->> 'deal_id') AS deal
    FROM read_json($path, format = 'newline_delimited',
                   columns = {id: 'VARCHAR', time: 'VARCHAR', type: 'VARCHAR', subject: 'VARCHAR', data: 'JSON'})
    GROUP BY id
),
visitors AS (
    SELECT subject, arg_max(lead, row(t, lead)) AS lead FROM events
    WHERE lead IS NOT NULL AND (type LIKE 'web.%' OR type LIKE 'email.%') GROUP BY subject
),
deals AS (
    SELECT subject, arg_max(lead, row(t, id)) FILTER (lead IS NOT NULL) AS lead
    FROM events WHERE type LIKE 'deal.%' GROUP BY subject
),
became AS (SELECT deal, any_value(subject) AS lead FROM events WHERE type = 'lead.converted' AND deal IS NOT NULL GROUP BY deal),
moves AS (SELECT * FROM events WHERE type IN ('deal.won', 'deal.lost', 'deal.reopened', 'deal.stage_changed')),
ends AS (
    SELECT subject, arg_max(type, row(t, id)) AS last, max(row(t, id)) FILTER (type <> 'deal.won') AS other
    FROM moves GROUP BY subject
),
sales AS (
    SELECT m.subject, min(m.t) AS t FROM moves m JOIN ends e USING (subject)
    WHERE e.last = 'deal.won' AND m.type = 'deal.won' AND (e.other IS NULL OR row(m.t, m.id) > e.other) GROUP BY m.subject
),
steps AS (
    SELECT coalesce(v.lead, e.subject) AS person, 1 AS step, e.t FROM events e LEFT JOIN visitors v USING (subject)
    WHERE e.type IN ('web.cta_clicked', 'web.form_submitted', 'web.demo_requested')
    UNION SELECT subject, 2, t FROM events WHERE type = 'lead.created'
    UNION SELECT subject, 3, t FROM events WHERE type = 'lead.qualified'
    UNION SELECT coalesce(d.lead, b.lead, 'deal ' || e.subject), 4, e.t
    FROM events e LEFT JOIN deals d USING (subject) LEFT JOIN became b ON b.deal = e.subject WHERE e.type = 'deal.created'
    UNION SELECT coalesce(d.lead, b.lead, 'deal ' || s.subject), 5, s.t
    FROM sales s LEFT JOIN deals d USING (subject) LEFT JOIN became b ON b.deal = s.subject
),
known AS (SELECT * FROM steps WHERE t < $until),
one AS (SELECT person, t AS t1 FROM known WHERE step = 1 AND t >= $start),
two AS (SELECT o.*, min(k.t) AS t2 FROM one o LEFT JOIN known k ON k.person = o.person AND k.step = 2
        AND k.t BETWEEN t1 AND t1 + $within GROUP BY ALL),
three AS (SELECT o.*, min(k.t) AS t3 FROM two o LEFT JOIN known k ON k.person = o.person AND k.step = 3
          AND k.t BETWEEN t2 AND t1 + $within GROUP BY ALL),
four AS (SELECT o.*, min(k.t) AS t4 FROM three o LEFT JOIN known k ON k.person = o.person AND k.step = 4
         AND k.t BETWEEN t3 AND t1 + $within GROUP BY ALL),
five AS (SELECT o.*, min(k.t) AS t5 FROM four o LEFT JOIN known k ON k.person = o.person AND k.step = 5
         AND k.t BETWEEN t4 AND t1 + $within GROUP BY ALL),
best AS (
    SELECT * FROM five
    QUALIFY row_number() OVER (
        PARTITION BY person
        ORDER BY (t2 IS NOT NULL)::INT + (t3 IS NOT NULL)::INT + (t4 IS NOT NULL)::INT + (t5 IS NOT NULL)::INT DESC, t1
    ) = 1
)
SELECT count(t1), count(t2), count(t3), count(t4), count(t5),
       median(t2 - t1) / 1000, median(t3 - t2) / 1000, median(t4 - t3) / 1000, median(t5 - t4) / 1000
FROM best
"""
#: What each account has bought and not given back, and won deals.
BOUGHT = """
WITH events AS (
    SELECT id, any_value(epoch_ms(CAST(time AS TIMESTAMPTZ))) AS t, any_value(type) AS type, any_value(subject) AS subject,
           any_value(data ->> 'product') AS product, any_value(CAST(data ->> 'amount' AS DECIMAL(18, 4))) AS amount,
           any_value(data ->> 'account_id') AS account
    FROM read_json($path, format = 'newline_delimited',
                   columns = {id: 'VARCHAR', time: 'VARCHAR', type: 'VARCHAR', subject: 'VARCHAR', data: 'JSON'})
    GROUP BY id
),
billed AS (
    SELECT subject AS account, product FROM events
    WHERE type IN ('customer.invoiced', 'customer.renewed') AND product IS NOT NULL AND t >= $start AND t < $until
    GROUP BY ALL HAVING sum(amount) > 0
),
moves AS (SELECT * FROM events WHERE type IN ('deal.won', 'deal.lost', 'deal.reopened', 'deal.stage_changed')),
ends AS (
    SELECT subject, arg_max(type, row(t, id)) AS last, max(row(t, id)) FILTER (type <> 'deal.won') AS other
    FROM moves GROUP BY subject
),
sales AS (
    SELECT m.subject, min(m.t) AS t FROM moves m JOIN ends e USING (subject)
    WHERE e.last = 'deal.won' AND m.type = 'deal.won' AND (e.other IS NULL OR row(m.t, m.id) > e.other) GROUP BY m.subject
),
told AS (
    SELECT subject, arg_max(product, row(t, id)) FILTER (product IS NOT NULL) AS product,
           arg_max(account, row(t, id)) FILTER (account IS NOT NULL) AS account
    FROM events WHERE type LIKE 'deal.%' GROUP BY subject
),
baskets AS (
    SELECT account, product FROM billed
    UNION SELECT t.account, t.product FROM sales s JOIN told t USING (subject)
    WHERE s.t >= $start AND s.t < $until AND t.account IS NOT NULL AND t.product IS NOT NULL
)
SELECT a.product, b.product, count(*) AS both_,
       (SELECT count(*) FROM baskets WHERE product = a.product), (SELECT count(*) FROM baskets WHERE product = b.product),
       (SELECT count(DISTINCT account) FROM baskets)
FROM baskets a JOIN baskets b ON a.account = b.account AND a.product <> b.product GROUP BY ALL HAVING count(*) >= 3
"""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company with deals that are opened again; its days shuffled, a tenth of it told twice, some of it late."""
    path = tmp_path_factory.mktemp("people") / "events.jsonl"
    world = World(11, START, DAYS).events()
    faults = Mischief(seed=3, reopen=0.15, duplicates=0.1, disorder=1.0, late=0.05)
    told = (few_accounts(one) for one in faults.apply(world) if isinstance(one, dict))
    path.write_bytes(b"\n".join(map(orjson.dumps, told)) + b"\n")
    return path


def few_accounts(event: dict[str, Any]) -> dict[str, Any]:
    """The same event, of one of twenty accounts: the company's own buy one product each."""

    def one_of(account: str) -> str:
        return f"A{crc32(account.encode()) % 20}"

    if TOPIC_OF[event["type"]] == "customers":
        return {**event, "subject": one_of(event["subject"])}
    account = event["data"].get("account_id")
    return event if account is None else {**event, "data": {**event["data"], "account_id": one_of(account)}}


@pytest.fixture(scope="module")
def rows(history: Path) -> Iterator[dict[str, dict[bytes, bytes]]]:
    folds = {name: EntityPartition(name, 0, BUSINESS) for name in ("engagement", "leads", "deals", "customers")}
    waiting: dict[str, list[Record]] = {name: [] for name in folds}
    now = epoch_ms(START) + 60 * DAY_MS
    for number, line in enumerate(history.read_bytes().splitlines()):
        topic = TOPIC_OF[orjson.loads(line)["type"]]
        if topic in folds:
            waiting[topic].append(Record(topic, 0, number, now, b"", line, ()))
    found: dict[str, dict[bytes, bytes]] = {}
    for name, fold in folds.items():
        fold.fold(waiting[name])
        found[name] = {row.key: row.value for row in fold.changes().rows if row.value is not None}
    yield found


def test_the_way_to_a_sale(history: Path, rows: dict[str, dict[bytes, bytes]]) -> None:
    people = People(BUSINESS, BUSINESS.funnels)
    for fold in ("engagement", "leads", "deals"):
        people.take(fold, rows[fold])
    found = journey(FUNNEL, people.persons(), FROM, UNTIL)
    asked = {"path": str(history), "start": FROM, "until": UNTIL, "within": FUNNEL.within}
    true: Any = duckdb.connect().execute(WAYS, asked).fetchone()
    assert tuple(step["people"] for step in found["steps"]) == true[:5]
    assert tuple(step["median_seconds"] for step in found["steps"][1:]) == true[5:]
    assert true[0] > 100 and true[4] > 3, "the history says too little"


def test_what_is_bought_together(history: Path, rows: dict[str, dict[bytes, bytes]]) -> None:
    baskets = Baskets(BUSINESS, FROM, UNTIL)
    for fold in ("deals", "customers"):
        baskets.take(fold, rows[fold])
    found = pairs(baskets, least=3)
    asked = {"path": str(history), "start": FROM, "until": UNTIL}
    true = duckdb.connect().execute(BOUGHT, asked).fetchall()
    assert {tuple(pair) for pair in found.pairs} == {row[:5] for row in true}
    assert {row[5] for row in true} <= {found.baskets} and true
