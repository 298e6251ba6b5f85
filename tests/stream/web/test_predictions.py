"""The answers in the API: from who predicts, from the topics, and where there are none."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from models.calendar import iso
from models.fold import Record
from stream.web.predictions import Elsewhere, Entity, PredictionBoard, router
from tests.models.learners.live import Loop
from tests.models.learners.test_live import jittered
from tests.stream.web.web import application, client


class Knows:
    """One open deal."""

    def answer(self, entity: Entity, key: str) -> Mapping[str, Any] | None:
        if key == "away":
            raise Elsewhere("its partition is with another worker")
        return {"deal": key, "win": 0.6} if (entity, key) == ("deal", "EU/2026 7") else None

    def models(self) -> Sequence[Mapping[str, Any]]:
        return [{"model": "deal", "lessons": 7}]

    def document(self, model: str) -> bytes | None:
        return b'{"kind":"deal"}' if model == "deal" else None


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/api/predictions/EU/2026%207", 200, {"deal": "EU/2026 7", "win": 0.6}),
        ("/api/predictions/none", 404, {"error": "no open deal 'none' is known; accepted: the id of one that is open"}),
        ("/api/predictions/away", 503, {"error": "deal 'away': its partition is with another worker"}),
        ("/api/leads/none", 404, {"error": "no open lead 'none' is known; accepted: the id of one that is open"}),
        ("/api/models", 200, [{"model": "deal", "lessons": 7}]),
        ("/api/models/deal/document", 200, {"kind": "deal"}),
        ("/api/models/lead/document", 404, {"error": "no model 'lead' has been sent round yet (accepted: deal, lead)"}),
    ],
)
async def test_what_is_known_is_answered(path: str, status: int, body: Any) -> None:
    app = application()
    app.include_router(router(Knows()))
    async with client(app) as web:
        answer = await web.get(path)
    found = answer.json() if status == 200 else {"error": answer.json()["error"]}
    assert (answer.status_code, found) == (status, body)
    assert answer.headers["cache-control"] == "no-store"


async def test_where_nothing_is_predicted_it_says_so() -> None:
    app = application()
    app.include_router(router(None))
    async with client(app) as web:
        for path in ("/api/predictions/D1", "/api/leads/L1", "/api/models"):
            answer = await web.get(path)
            assert answer.status_code == 404
            assert "models.live is false" in answer.json()["error"] or "no model" in answer.json()["error"]


def test_the_topics_tell_a_process_that_does_not_predict_the_same() -> None:
    loop = Loop(partitions=2, interval=0).run(jittered(12))
    board = PredictionBoard(lambda: running)
    running = False
    parts: list[Any] = [board.spec().make(partition) for partition in range(2)]
    with pytest.raises(Elsewhere):
        board.answer("deal", "D1")
    for (topic, partition), log in loop.topics.items():
        if topic == "model-snapshots":
            parts[partition].fold([Record(topic, partition, at, 0, *found, ()) for at, found in enumerate(log)])
    for name, answer in loop.predictions.items():
        partition = loop.home(name.encode())
        value = None if answer is None else orjson.dumps(answer)
        parts[partition].fold([Record("predictions", partition, 0, 0, name.encode(), value, ())])
    parts[0].fold([Record("model-snapshots", 0, 0, 0, b"deal", b"{", ())])
    running = True
    assert board.models() == [] and board.answer("deal", "D1") is None  # read aside
    for part in parts:
        part.live()
    for name, answer in loop.predictions.items():
        assert board.answer("deal", name) == (answer and {**answer, "at": iso(answer["at"])})
    assert board.answer("lead", "D1") is None
    status = {found["model"]: found for found in board.models()}
    assert status.keys() == {"deal", "lead"}
    assert status["deal"] == orjson.loads(loop.rows["predict-0"][b"M"])["status"]
    assert board.document("deal") == loop.learner.trainers["deal"]._documents()[0]
    assert parts[0].changes() == ([], [])
