"""Is every field of the contract in the register, and is nobody found, or spared, who should not be?"""

from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from models.calendar import DAY_MS
from models.events.authority import MODELS
from models.privacy.excerpt import excerpt
from models.privacy.fields import FIELDS, LINKS, NAMES, REMOVED, Personal
from models.privacy.refusals import Refusals
from models.privacy.rewrite import Rewriter
from models.privacy.subject import EVENTS, Cell, Subject, needles, owners_of, tree_of
from models.privacy.traces import Traces, traces_of
from tests.models.test_evolve import Kept
from tests.models.test_partition import BUSINESS, T0, event, record


def declared() -> dict[str, set[str]]:
    """Every field of the contract, and what it says of who it is about."""
    found: dict[str, set[str]] = {}

    def walk(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            if name != "data":
                extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
                found.setdefault(name, set()).add(str(extra.get("x-personal", "")))
            for choice in getattr(field.annotation, "__args__", (field.annotation,)):
                if isinstance(choice, type) and issubclass(choice, BaseModel):
                    walk(choice)

    for model in MODELS.values():
        walk(model)
    return found


def test_the_register_has_every_field_of_the_contract_and_no_other() -> None:
    assert set(FIELDS) == set(declared())


def test_it_says_of_each_what_the_contract_says() -> None:
    for name, said in declared().items():
        if said & {"yes", "perhaps"}:
            assert FIELDS[name].personal in (Personal.YES, Personal.PERHAPS), name


def test_what_is_looked_for_is_in_it() -> None:
    assert {*LINKS, *NAMES, *REMOVED} <= set(FIELDS)
    assert set(EVENTS) == {"deals", "deal-merges", "leads", "lead-merges", "engagement", "customers", "spend"}


def cell(where: str, tree: Any, key: str = "", **more: Any) -> Cell:
    return Cell(where, 0, 0, (key or tree["subject"]).encode(), orjson.dumps(tree), **more)


def of(kind: str, subject: str, **data: Any) -> dict[str, Any]:
    return {"id": "e-1", "source": "s", "type": kind, "time": "2026-03-12T00:00:00Z", "subject": subject, "data": data}


def test_an_id_of_two_digits_takes_no_amount_day_stage_or_other_id_with_it() -> None:
    rewrite = Rewriter(Traces({Subject("lead", "12"): "erased-a"}))
    deal = of("deal.created", "812", amount="12", currency="EUR", stage="12", lead_id="12", owner="12", account_id="12")
    new = rewrite(cell("deals", deal))
    assert new is not None and orjson.loads(new.value or b"")["data"] == {**deal["data"], "lead_id": None}
    assert rewrite(cell("leads", of("lead.created", "112", score=12, campaign="12"))) is None
    own = rewrite(cell("leads", of("lead.created", "12", score=12, campaign="12", amount="12", name="Jo")))
    assert own is not None and own.key == b"erased-a"
    tree = orjson.loads(own.value or b"")
    assert (tree["subject"], tree["data"], tree["time"]) == (
        "erased-a",
        {"score": 12, "campaign": "12", "amount": "12"},
        deal["time"],
    )


def test_a_pane_is_no_owner_and_a_part_of_a_word_no_name() -> None:
    rewrite = Rewriter(Traces({Subject("owner", "Anna"): "erased-a", Subject("owner", "1734"): "erased-b"}))
    assert rewrite(Cell("panes", 0, 0, b"deals:0:h:1734:owner=Annabel", b'{"deals_won":1734}')) is None
    for name, new in (("Anna", "erased-a"), ("1734", "erased-b")):
        found = rewrite(Cell("panes", 0, 0, f"deals:0:h:1734:owner={name}".encode(), b'{"deals_won":1734}'))
        assert found is not None and found.key == f"deals:0:h:1734:owner={new}".encode()
        assert found.value == b'{"deals_won":1734}'


def test_large_digests_and_amounts_keep_every_digit() -> None:
    rewrite = Rewriter(Traces({Subject("lead", "lead-abc"): "erased-a"}))
    value = b'[[[1,"e","created",{"amount":9007199254740993,"x":0.1,"lead_id":"lead-abc"}]],0,null,{"18446744073709551615":5}]'
    found = rewrite(Cell("fold-deals", 0, None, b"Ed-1", value))
    assert found is not None and found.value == value.replace(b'"lead-abc"', b"null")


def test_a_namesake_keeps_their_name_and_a_deal_of_the_person_does_not() -> None:
    behind = [
        {"id": id, "entity": kind, "name": "Jo Wu Ming, yearly"}
        for kind, id in (("lead", "lead-xyz"), ("lead", "lead-abc"), ("deal", "deal-1"), ("deal", "deal-2"))
    ]
    texts = "Lead Jo Wu Ming waits"
    cells = [
        cell("leads", of("lead.created", "lead-abc", name="Jo Wu Ming")),
        cell("leads", of("lead.created", "lead-xyz", name="Jo Wu Ming") | {"id": "e-2"}),
        cell("deals", of("deal.created", "deal-1", lead_id="lead-abc")),
        cell("deals", of("deal.updated", "deal-1", name="Jo Wu Ming, renewal")),
        cell("deals", of("deal.created", "deal-2", name="Jo Wu Ming, renewal", lead_id="lead-xyz") | {"id": "e-3"}),
        *(cell("alerts", {"segment": {kind: id}, "text": texts}, "i") for kind, id in (("lead", "lead-xyz"), ("deal", "deal-1"))),
        cell("highlights", [[1, one["id"], 2, 3, "crm", "ann", "x", one["name"]] for one in behind], "open:0:total"),
        cell("readings", {"because": {"behind": behind}}, "kpi"),
    ]
    traces = traces_of({Subject("lead", "lead-abc")}, lambda _: iter(cells), lambda *_: "", lambda _: "erased-a")
    assert traces.linked == {Subject("deal", "deal-1")}
    new: list[Any] = [None if found is None else orjson.loads(found.value or b"") for found in map(Rewriter(traces), cells)]
    assert [number for number, found in enumerate(new) if found is None] == [1, 4, 5]
    assert [new[3]["data"]["name"], new[6]["text"]] == ["erased, renewal", "Lead erased waits"]
    assert [item[1] for item in new[7]] == ["lead-xyz", "erased-a", "deal-1", "deal-2"]
    assert [item[7] for item in new[7]] == [behind[0]["name"], "", "erased, yearly", behind[0]["name"]]
    assert [one.get("name") for one in new[8]["because"]["behind"]] == [
        behind[0]["name"],
        None,
        "erased, yearly",
        behind[0]["name"],
    ]


def test_what_says_nothing_of_them_is_not_written_anew() -> None:
    value = b'{"subject": "lead-xyz", "data": {"name": "Jo Wu Ming"}}'
    rewrite = Rewriter(Traces({Subject("lead", "lead-abc"): "erased-a"}, names={"Jo Wu Ming"}))
    assert rewrite(Cell("leads", 0, 0, b"lead-xyz", value)) is None


def test_a_short_id_of_an_event_is_nothing_else() -> None:
    rewrite = Rewriter(Traces({Subject("lead", "lead-abc"): "erased-a"}, events={"12": "n"}))
    own = of("lead.created", "lead-abc", campaign="12", product="12") | {"id": "12"}
    found = tree_of(rewrite(cell("leads", own)).value)  # type: ignore[union-attr]
    assert (found["id"], found["data"]) == ("n", own["data"])


def test_of_a_record_of_several_each_is_shown_their_part() -> None:
    speaks = Rewriter(Traces({Subject("lead", "lead-abc"): "erased-a"}, incidents={"i-1": "n"})).speaks
    message = {
        "depends": ["leads"],
        "incidents": ["i-0", "i-1"],
        "alerts": [{"segment": {"lead": id}, "sums": [1, 2]} for id in ("lead-xyz", "lead-abc")],
        "by": {"i-0": 1, "i-1": 2},
        "text": "2 alerts:\nLead lead-xyz waits\nLead lead-abc waits",
        "why": "one\nand another",
    }
    assert excerpt(message, speaks) == {
        "depends": ["leads"],
        "incidents": ["i-1"],
        "alerts": [{"segment": {"lead": "lead-abc"}, "sums": [1, 2]}],
        "by": {"i-1": 2},
        "text": "Lead lead-abc waits",
        "why": "one\nand another",
    }
    rows = [[3, "lead-xyz", 4, "Li"], [5, "lead-abc", 6, "Jo"]]
    assert excerpt(rows, speaks) == [[5, "lead-abc", 6, "Jo"]] and excerpt(rows[:1], speaks) == rows[:1]


@pytest.mark.parametrize("text", ["plain", 'with "quotes" and \\', "Zoë Ångström", "日本語の名前"])
def test_whatever_an_id_is_written_in_it_is_found(text: str) -> None:
    import json

    for written in (orjson.dumps(text), json.dumps(text).encode(), text.encode()):
        assert any(needle in written for needle in needles([text]))
    rewrite = Rewriter(Traces({Subject("lead", text): "erased-a"}))
    for dumped in (orjson.dumps(of("lead.created", text)), json.dumps(of("lead.created", text)).encode()):
        found = rewrite(Cell("leads", 0, 0, text.encode(), dumped))
        assert found is not None and tree_of(found.value)["subject"] == "erased-a"


def test_binary_mode_says_in_headers_who_it_is() -> None:
    headers = (("ce_subject", b"lead-abc"), ("ce_id", b"e-9"), ("ce_type", b"lead.created"), ("ce_traceparent", b"00-1"))
    made = Cell("leads", 0, 0, b"other-key", b'{"name":"Jo Wu","source":"web"}', headers)
    assert Subject("lead", "lead-abc") in owners_of(made, tree_of(made.value))
    found = Rewriter(Traces({Subject("lead", "lead-abc"): "erased-a"}, events={"e-9": "n"}))(made)
    assert found is not None and found.value == b'{"source":"web"}'
    assert list(found.headers) == [("ce_subject", b"erased-a"), ("ce_id", b"n"), ("ce_type", b"lead.created")]
    refusals = Refusals(b"k" * 32)
    refusals.add([refusals.hash(Subject("lead", "lead-abc"))])
    assert refusals.screen(made).refused


@pytest.mark.parametrize(
    ("event", "refused", "left"),
    [
        (of("lead.updated", "gone-1", stage="x"), True, None),
        (of("lead.merged", "new", into="gone-1"), True, None),
        (of("lead.updated", "new", stage="x"), False, {"stage": "x"}),
        (
            of("deal.updated", "new", stage="x", lead_id="gone-1", name="Renewal Jo Wu", owner="ann"),
            False,
            {"stage": "x", "owner": "ann"},
        ),
        (of("lead.created", "new", email_hash="hash-1", name="Jo", owner="ann"), False, {"owner": "ann"}),
    ],
)
def test_late_events_of_them_are_refused_and_others_are_taken_without_the_name(
    event: dict[str, Any], refused: bool, left: Any
) -> None:
    refusals = Refusals(b"k" * 32)
    refusals.add([refusals.hash(Subject("lead", "gone-1")), refusals.hash(Subject("email", "hash-1"))])
    screened = refusals.screen(cell("deals" if event["type"].startswith("deal") else "leads", event))
    assert screened.refused is refused
    if not refused:
        assert orjson.loads(screened.value or b"")["data"] == left
    # Another installation's hash of the same id is another.
    assert Refusals(b"j" * 32).hash(Subject("lead", "gone-1")) not in {refusals.hash(Subject("lead", "gone-1"))}


@pytest.mark.parametrize("erased", [True, False])
def test_an_open_deal_of_somebody_who_was_erased_leaves_the_pipeline_when_its_time_is_over(erased: bool) -> None:
    kept = Kept("deals")
    kept.take([event("deal.created", deal, T0, f"e-{deal}", amount="7", currency="EUR") for deal in ("old-deal", "d-2")])
    if erased:
        rewrite = Rewriter(Traces({Subject("deal", "old-deal"): "erased-a"}))
        found = rewrite(Cell("fold-deals", 0, None, b"Eold-deal", kept.rows.pop(b"Eold-deal")))
        assert found is not None and found.value is not None
        kept.rows[found.key] = found.value
    later = kept.restarted()
    now = T0 + BUSINESS.keep_days + 3 * DAY_MS
    later.partition.fold([record("deals", event("deal.created", "new-deal", now, "e-new", amount="1", currency="EUR"), 9, now)])
    later.checkpoint()
    open_ = sum(
        pane.get("open_deals", 0) for name, pane in later.panes.items() if name.startswith("Pa:") and name.endswith(":total")
    )
    assert (open_, b"Eerased-a" in later.rows) == (2 if erased else 3, False)
