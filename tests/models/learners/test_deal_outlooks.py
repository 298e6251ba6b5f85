"""What the predictions say of each deal for the forecast: open, closed, gone, and of deals from before it was said."""

from typing import Any, ClassVar

import orjson

from models.calendar import DAY_MS
from models.deal_outlook import DIMENSIONS, KNOTS, TOPIC, decode
from models.fold import Output
from models.learners.evaluation import DealFact
from tests.models.learners.live import BEGIN, Loop, event


class Told(Loop):
    """Keeps what was told of each deal."""

    outlooks: ClassVar[dict[str, Any]] = {}

    def _deliver(self, output: Output) -> None:
        if output.topic == TOPIC:
            self.outlooks[output.key.decode()] = output.value
        super()._deliver(output)


FACTS = [
    DealFact(0, "A", "created", {"stage": "demo", "amount": 500_0000, "owner": "ann", "team": "north", "source": "web"}),
    DealFact(1000, "B", "created", {"stage": "demo"}),
    DealFact(2000, "A", "stage_changed", {"stage": "offer"}),
    DealFact(DAY_MS, "A", "won", {"amount": 600_0000}),
    DealFact(2 * DAY_MS, "C", "created", {"stage": "demo"}),
    DealFact(2 * DAY_MS + 1, "C", "deleted", {}),
]


def test_open_closed_and_deleted_deals_are_told_of() -> None:
    loop = Told()
    loop.outlooks.clear()
    loop.run(FACTS[:3])
    opened = decode(loop.outlooks["A"])
    assert (opened.status, opened.created, opened.closed, opened.amount) == ("open", BEGIN, 0, 500_0000)
    assert opened.values == ("north", "ann", None, None, "web") and len(DIMENSIONS) == 5
    assert opened.stages == ("demo", "offer")
    assert len(opened.won) == len(KNOTS) and list(opened.won) == sorted(opened.won) and 0 < opened.won[-1] < 1
    assert opened.won[-1] <= opened.closes[1] <= 1 and opened.closes[0] <= opened.closes[1]
    loop.run(FACTS[3:])
    won = decode(loop.outlooks["A"])
    assert (won.status, won.closed, won.amount, won.won) == ("won", BEGIN + DAY_MS, 600_0000, ())
    assert decode(loop.outlooks["B"]).amount is None
    assert loop.outlooks["C"] is None


def test_deals_of_before_outlooks_were_kept_are_told_of_once_after_the_upgrade() -> None:
    loop = Told()
    loop.run(FACTS)
    told = dict(loop.outlooks)
    assert orjson.loads(loop.rows["predict-0"][b"!"])[5] is True
    loop.outlooks.clear()
    loop.restart()
    loop.tick(loop.now + 1)
    assert "A" not in loop.outlooks  # nothing is told twice
    # As the release before wrote it.
    loop.rows["predict-0"][b"!"] = orjson.dumps(orjson.loads(loop.rows["predict-0"][b"!"])[:5])
    loop.restart()
    loop.tick(loop.now + 2)
    assert loop.outlooks["A"] == told["A"]
    assert decode(loop.outlooks["B"]).status == "open"
    assert loop.outlooks.get("C") is None
    assert orjson.loads(loop.rows["predict-0"][b"!"])[5] is True
    assert event(1, FACTS[0])
