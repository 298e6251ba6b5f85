"""Alerts as tasks: one an incident, made through the template, with comments on how it goes on."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from agents.notifiers import ReceiverError, build
from agents.notifiers.apprise import AppriseNotifier
from agents.notifiers.task import AsanaNotifier, MondayNotifier, TaskNotifier, TrelloNotifier
from alert_rules.tell.delivery import Action
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent
from tests.agents.doubles import ALERT, delivery, having, receiver

FIRED = replace(delivery(), actions=(Action("ack", "Acknowledge", "https://v.example/act/x", "x"),))
RESOLVED = replace(FIRED, id="msg_2", alert=ALERT | {"kind": "resolved", "why_now": "all have ended"})


def of(kind: type[TaskNotifier], url: str, **more: Any) -> TaskNotifier:
    given = {"title": "{severity}: {title}", "text": "{text}\n{segment} {runbook}"} | more
    return kind("tasks", "t0ken", "place1", given["title"], given["text"], url=url, key="k3y")


SERVICES: dict[type[TaskNotifier], tuple[bytes, str, str, list[str]]] = {
    TrelloNotifier: (b'{"id":"5abb"}', 'OAuth oauth_consumer_key="k3y", oauth_token="t0ken"', "5abb",
                     ["/hook/cards", "/hook/cards/5abb/actions/comments"]),
    AsanaNotifier: (b'{"data":{"gid":"123"}}', "Bearer t0ken", "123", ["/hook/tasks", "/hook/tasks/123/stories"]),
    MondayNotifier: (b'{"data":{"create_item":{"id":"77"}}}', "t0ken", "77", ["/hook", "/hook", "/hook"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", SERVICES)
async def test_a_task_is_made_and_then_commented_on(kind: type[TaskNotifier]) -> None:
    body, authorization, memo, paths = SERVICES[kind]
    async with receiver(body=body) as server:
        notifier = of(kind, server.url)
        assert await notifier.send(FIRED) == Sent(memo)
        assert await notifier.send(replace(RESOLVED, memo=memo)) == Sent(memo)
        await notifier.close()
    assert [one.path for one in server.received] == paths
    assert {one.headers["authorization"] for one in server.received} == {authorization}
    assert [one.headers["idempotency-key"] for one in server.received] == ["msg_1"] * (len(paths) - 1) + ["msg_2"]
    made, said = server.received[0].body.decode(), server.received[-1].body.decode()
    assert "critical: [CRITICAL] Win rate" in made and "place1" in made and "all have ended" in said
    everything = " ".join(one.body.decode() for one in server.received)
    for text in ("source web", "https://v.example/act/x", "msg_1", "msg_2"):
        assert text in everything, text


@pytest.mark.parametrize(("kind", "field"), [(TrelloNotifier, "due"), (AsanaNotifier, "due_at"), (MondayNotifier, None)])
async def test_a_task_is_due_when_a_playbook_says_so(kind: type[TaskNotifier], field: str | None) -> None:
    book = {"name": "Call", "steps": ["Look who is off", "Call"], "owner": "Ann", "due": "2026-03-03T12:00:00Z"}
    told = replace(FIRED, alert=ALERT | {"explanation": {"playbook": book}})
    async with receiver(body=SERVICES[kind][0]) as server:
        notifier = of(kind, server.url)
        assert isinstance(await notifier.send(told), Sent)
        await notifier.close()
    first = json.loads(server.received[0].body)
    made = first.get("data", first)
    assert made.get(field or "") == (None if field is None else "2026-03-03T12:00:00Z")
    assert not {"due", "due_at"} & made.keys() - {field}


@pytest.mark.parametrize("kind", SERVICES)
async def test_what_makes_no_task(kind: type[TaskNotifier]) -> None:
    async with receiver() as server:
        notifier = of(kind, server.url)
        for name in ("resolved", "acknowledged", "unacknowledged"):
            assert await notifier.send(replace(FIRED, alert=ALERT | {"kind": name})) == Sent()
        assert await notifier.send(replace(FIRED, alert=ALERT | {"kind": "digest"})) == Rejected("a summary is no task")
        assert await notifier.send(replace(RESOLVED, memo="../../evil")) == Sent(), "a memo that is no id is none"
        await notifier.close()
    assert server.received == []


@pytest.mark.parametrize("kind", [TrelloNotifier, AsanaNotifier])
async def test_a_task_that_is_gone_is_made_anew_unless_its_incident_has_ended(kind: type[TaskNotifier]) -> None:
    body, _, memo, _ = SERVICES[kind]
    async with receiver(web.Response(status=404), web.Response(status=200), web.Response(status=404), body=body) as server:
        notifier = of(kind, server.url)
        assert await notifier.send(replace(FIRED, memo="old1")) == Sent(memo)
        assert await notifier.send(replace(RESOLVED, memo="old1")) == Sent()
        await notifier.close()
    assert len(server.received) == 3


MONDAY_SAYS: list[tuple[bytes, Outcome]] = [
    (b'{"errors":[{"extensions":{"code":"COMPLEXITY_BUDGET_EXHAUSTED"}}]}', Retry("Monday says COMPLEXITY_BUDGET_EXHAUSTED")),
    (b'{"errors":[{"extensions":{"code":"InvalidBoardIdException"}}]}', Rejected("Monday says InvalidBoardIdException")),
    (b'{"errors":[{"message":"token t0ken is bad","extensions":{"code":"t0ken!"}}]}', Rejected("Monday says an error")),
    (b'{"error_code":"UserUnauthorizedException"}', Rejected("Monday says UserUnauthorizedException")),
    (b'{"data":{"create_item":null}}', Retry("answered HTTP 200, but not as the service does")),
]


@pytest.mark.parametrize(("body", "outcome"), MONDAY_SAYS)
async def test_what_monday_says(body: bytes, outcome: Outcome) -> None:
    async with receiver(body=body) as server:
        notifier = of(MondayNotifier, server.url)
        assert await notifier.send(FIRED) == outcome
        await notifier.close()


async def test_nothing_that_people_wrote_becomes_part_of_a_query_or_of_markup() -> None:
    nasty = ALERT | {"message": {"title": '") { delete } #\n<b>', "text": "<script>&\n{title}"}}
    async with receiver(body=SERVICES[MondayNotifier][0]) as server:
        notifier = of(MondayNotifier, server.url)
        await notifier.send(replace(FIRED, alert=nasty))
        await notifier.close()
    item, update = (json.loads(one.body) for one in server.received)
    assert "delete" not in item["query"] and item["variables"]["name"] == 'critical: ") { delete } # <b>'
    assert "<script" not in update["variables"]["body"] and "{title}" in update["variables"]["body"]


def test_settings_of_tasks() -> None:
    sound: dict[str, Any] = {"name": "t", "type": "trello", "key": "k", "token": "t", "place": "5abb"}
    assert set(build(having(sound))) == {"t"}
    for wrong, says in (
        ({"place": "a/b"}, "place"),
        ({"place": ""}, "place"),
        ({"channel": "C1"}, "does not go with type"),
    ):
        with pytest.raises(ReceiverError, match=says):
            build(having(sound | wrong))
    with pytest.raises(ReceiverError) as error:
        build(having(sound | {"title": "{titel}", "text": "{text.__class__}", "url": "ftp://x", "token": 'a"b'}))
    assert len(error.value.problems) == 4 and "unknown field {titel}" in str(error.value) and 'a"b' not in str(error.value)


# apprise imports what Python 3.13 no longer has.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_apprise_tells_what_it_can_reach(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("apprise")
    async with receiver(web.Response(status=200), web.Response(status=500)) as server:
        url = server.url.replace("http://", "json://") + "?+X-Token=t0psecret"
        notifier = build(having({"name": "a", "type": "apprise", "url": url}))["a"]
        assert await notifier.send(FIRED) == Sent()
        assert await notifier.send(FIRED) == Retry("apprise says that it was not taken")
        await notifier.close()
    told = json.loads(server.received[0].body)
    assert (told["title"], told["type"]) == ("[CRITICAL] Win rate · source=web: 10 %", "failure")
    assert "msg_1" in told["message"] and "https://v.example/act/x" in told["message"]
    assert "t0psecret" not in caplog.text + repr(notifier)
    with pytest.raises(ReceiverError) as error:
        build(having({"name": "a", "type": "apprise", "url": "nonsense-t0psecret"}))
    assert "t0psecret" not in str(error.value)


async def test_apprise_hangs_or_breaks() -> None:
    class Broken:
        async def async_notify(self, **_: Any) -> bool:
            raise RuntimeError("tgram://t0psecret")

    assert await AppriseNotifier("a", Broken()).send(FIRED) == Retry("apprise failed (RuntimeError)")


def test_without_apprise_it_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("agents.notifiers.apprise.import_module", nothing)
    with pytest.raises(ReceiverError, match="apprise is not installed"):
        build(having({"name": "a", "type": "apprise", "url": "json://x"}))
