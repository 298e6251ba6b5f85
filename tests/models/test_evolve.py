"""Do kept numbers live on when measures are added, removed or renamed, and are new ones what they would always have been?"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.kinds.absent import Absent
from alert_rules.kinds.change import Change
from alert_rules.kinds.value import VALUE
from models.business import Business
from models.calendar import DAY_MS, MINUTE_MS, iso
from models.folds.deals import DealSteps
from models.folds.partition import EntityPartition
from models.kpis.reading import Reading
from models.measures import LOGGED, MEASURES, RENAMED, RULES, UNLOGGED
from models.money import Rates
from models.panes.view import View
from models.panes.windows import Window
from stream.config.kpi_files import load_catalogue
from tests.models.test_partition import BUSINESS, MAKERS, T0, event, record

Rows = dict[bytes, bytes]


def stripped(panes: dict[str, Any]) -> dict[str, Any]:
    """The panes without a measure that there is no more: what nothing has touched still has it."""
    return {name: left for name in panes if (left := {m: n for m, n in panes[name].items() if m != "long_gone"})}


class Kept:
    """One partition with what it has written: rows and panes, each key once."""

    def __init__(self, fold: str, rows: Rows | None = None, business: Any = BUSINESS) -> None:
        self.fold, self.business = fold, business
        self.rows: Rows = dict(rows or {})
        self.partition = EntityPartition(fold, 0, business)
        if rows:
            self.partition.restore(rows.items())

    def take(self, events: list[dict[str, Any]]) -> None:
        self.partition.fold([record(self.fold, e, i) for i, e in enumerate(events)])
        self.checkpoint()

    def checkpoint(self) -> None:
        for key, value in self.partition.changes().rows:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def restarted(self) -> "Kept":
        return Kept(self.fold, self.rows, self.business)

    def settled(self) -> "Kept":
        """Bring all entities up."""
        self.checkpoint()
        while self.partition.behind:
            self.checkpoint()
        return self

    @property
    def panes(self) -> dict[str, Any]:
        return {key.decode(): orjson.loads(value) for key, value in self.rows.items() if key[:1] == b"P"}

    @property
    def one(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.rows[b"!"])
        return found


def without(rows: Rows, *gone: str, extra: bool = False) -> Rows:
    """What an earlier version would have kept that did not know these measures (and one more, with ``extra``)."""
    found: Rows = {}
    for key, value in rows.items():
        body = orjson.loads(value)
        if key[:1] == b"P":
            body = {name: number for name, number in body.items() if name not in gone} | ({"long_gone": 1} if extra else {})
            if body:
                found[key] = orjson.dumps(body)
            continue
        if key == b"!":
            body["made_of"]["measures"] = [m for m in body["made_of"]["measures"] if m not in gone] + ["long_gone"] * extra
        if key[:1] == b"E" and len(body) > 2 and body[2] and len(body[2]) > 5:
            # Its bookings named measures by their places, which are others now.
            body[2] = [misplaced(field) for field in body[2]]
        found[key] = orjson.dumps(body)
    return found


def misplaced(booking: Any) -> Any:
    if isinstance(booking, list) and len(booking) == 4 and isinstance(booking[0], int):
        minute, names, cells, values = booking
        return [minute, names, [[slot + 1, number] for slot, number in cells], [[slot + 2, v] for slot, v in values]]
    if isinstance(booking, list) and len(booking) == 2 and isinstance(booking[0], list):
        return [booking[0], [[slot + 3, number] for slot, number in booking[1]]]
    return booking


logged = st.sampled_from([(fold, m.name) for fold in sorted(LOGGED) for m in MEASURES[fold] if m.name not in UNLOGGED])


@settings(max_examples=120, deadline=None)
@given(
    names=st.lists(logged, min_size=1, max_size=4),
    seed=st.integers(0, 10**6),
    count=st.integers(1, 60),
    at=st.floats(0, 1),
    more=st.floats(0, 1),
    restart=st.lists(st.booleans(), min_size=3, max_size=3),
    mix=st.randoms(use_true_random=False),
)
def test_a_measure_that_is_added_is_booked_from_the_facts_that_are_kept(
    names: list[tuple[str, str]], seed: int, count: int, at: float, more: float, restart: list[bool], mix: Any
) -> None:
    fold = names[0][0]
    added = {name for where, name in names if where == fold}
    events = MAKERS[fold](seed, count)
    mix.shuffle(events)
    whole = Kept(fold)
    whole.take(events)
    cut = int(len(events) * at)
    then = cut + int((len(events) - cut) * more)
    kept = Kept(fold)
    kept.take(events[:cut])
    kept = Kept(fold, without(kept.rows, *added, extra=True))
    if restart[0]:
        kept.checkpoint()
        kept = kept.restarted()
    kept.take(events[cut:then])  # some entities are touched before their turn has come
    if restart[1]:
        kept = kept.restarted()
    kept.settled()
    if restart[2]:
        kept = kept.restarted()
    kept.take(events[then:])
    kept.settled()
    assert stripped(kept.panes) == whole.panes
    assert kept.one.get("since", {}) == {}


@contextmanager
def rules_of_before(fold: str) -> Iterator[None]:
    """The first rules are in force: an edit opens a deal, and any contact answers a lead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RULES, fold, 0)
        yield


@pytest.mark.parametrize("fold", sorted(LOGGED))
@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 60),
    at=st.floats(0, 1),
    more=st.floats(0, 1),
    added=st.booleans(),
    moved=st.booleans(),
    mix=st.randoms(use_true_random=False),
)
def test_other_rules_are_as_if_they_had_always_been(
    fold: str, seed: int, count: int, at: float, more: float, added: bool, moved: bool, mix: Any
) -> None:
    """With a measure more at once or not, and with yet another time zone while entities are still behind."""
    events = MAKERS[fold](seed, count)
    mix.shuffle(events)
    cut = int(count * at)
    then = cut + int((count - cut) * more)
    after = replace(BUSINESS, timezone="Asia/Kolkata") if moved else BUSINESS
    whole = Kept(fold, business=after)
    whole.take(events)
    with rules_of_before(fold):
        kept = Kept(fold)
        kept.take(events[:cut])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.folds.partition._RAISED", 1)
        rows = without(kept.rows, MEASURES[fold][-1].name, "leads_answered", "stage_lengths") if added else kept.rows
        kept = Kept(fold, rows)
        kept.take(events[cut:then])
        kept = Kept(fold, kept.rows, after)
        kept.checkpoint()
        if mix.random() < 0.5:
            kept = kept.restarted()
        kept.take(events[then:])
        kept.settled()
    assert kept_facts(kept.panes) == kept_facts(whole.panes)
    assert kept.one.get("ruled") is None
    assert kept.restarted().partition.behind == 0


@pytest.mark.parametrize("fold", sorted(LOGGED))
def test_what_a_fault_takes_back_is_brought_up_again(fold: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is taken whole or not at all, what its entity was brought up for with it; that of others stays."""
    events = MAKERS[fold](11, 80)
    with rules_of_before(fold):
        kept = Kept(fold)
        kept.take(events[:60])
    whole = Kept(fold)
    whole.take(events)
    later = events[60:]
    kind = later[0]["type"].partition(".")[0]
    bad = [event(f"{kind}.updated", e["subject"], T0 + DAY_MS, f"bad{i}", owner="bad") for i, e in enumerate(later[:4])]
    monkeypatch.setattr("models.folds.partition._RAISED", 1)
    kept = Kept(fold, kept.rows)
    note = type(kept.partition._keeper).note  # type: ignore[attr-defined]

    def failing(self: Any, key: str, entry: Any, sender: str) -> Any:
        found = note(self, key, entry, sender)
        if entry[1].startswith("bad"):
            raise RuntimeError("a fault of ours")
        return found

    monkeypatch.setattr(type(kept.partition._keeper), "note", failing)
    kept.take([e for pair in zip(bad, later[:4], strict=True) for e in pair] + later[4:])
    kept.settled()
    assert kept.partition.faults.total == 4
    assert kept_facts(kept.panes) == kept_facts(whole.panes)


def test_one_that_cannot_be_brought_up_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with rules_of_before("deals"):
        kept = Kept("deals")
        kept.take([event("deal.updated", f"d{i}", T0, f"e{i}", amount="5") for i in range(3)])
    step = DealSteps.step

    def failing(self: DealSteps, present: Any, entry: Any, sign: int) -> None:
        step(self, present, entry, sign)
        if entry[1] == "e1":
            raise RuntimeError("a fault of ours")

    monkeypatch.setattr(DealSteps, "step", failing)
    kept = Kept("deals", kept.rows).settled()
    assert kept.partition.faults.total == 1 and "bringing up deals d1" in kept.partition.faults.fresh[0].where
    assert kept.panes["Pa:0:total"] == {"open_deals": 1, "open_amount": 50_000, "deals_unknown": 2}


def test_what_is_to_be_forgotten_is_brought_up_first() -> None:
    """Else what an edit had opened would stay open for ever, and one of unknown status be taken back that never was one."""
    business = replace(BUSINESS, keep_days=100 * DAY_MS)
    with rules_of_before("deals"):
        kept = Kept("deals", business=business)
        kept.take([event("deal.updated", f"d{i}", T0, f"e{i}", amount="5") for i in range(3)])
        kept.take([event("deal.created", "new", T0 + 200 * DAY_MS, "new")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.folds.partition._RAISED", 1)
        kept = Kept("deals", kept.rows, business).settled()
    kept.take([event("deal.updated", "new", T0 + 201 * DAY_MS, "newer")])
    levels = kept.panes["Pa:0:total"]
    assert (levels["open_deals"], levels.get("deals_unknown", 0), levels["open_dated"]) == (1, 0, 1)
    assert [key for key in kept.rows if key[:1] == b"E"] == [b"Enew"]


def test_values_that_stayed_other_have_a_name_under_a_greater_limit() -> None:
    """Also where a dimension has room again since names were let go of: of the others there are rows."""
    kept = Kept("leads", business=replace(BUSINESS, segment_limit=1))
    kept.take([event("lead.created", f"l{i}", T0, f"e{i}", source=f"s{i}") for i in range(2)])
    rows = kept.rows | {b"S": orjson.dumps({"source": []}), b"O": orjson.dumps({"source": ["s1"]})}
    kept = Kept("leads", rows).settled()
    assert {name.rpartition(":")[2] for name in kept_facts(kept.panes)} == {"total", "source=s0", "source=s1"}
    assert kept.rows[b"O"] == b"{}"


@pytest.mark.parametrize("fold", sorted(LOGGED))
@pytest.mark.parametrize("rules", [0, 1])
def test_bringing_up_may_be_killed_after_every_checkpoint(fold: str, rules: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.folds.partition._RAISED", 1)  # one entity per checkpoint
    events = MAKERS[fold](11, 80)
    whole = Kept(fold)
    whole.take(events)
    gone = [m.name for m in MEASURES[fold] if m.name not in UNLOGGED][rules == 0 :]
    before = Kept(fold)
    if not rules:
        with rules_of_before(fold):
            before = Kept(fold)
    before.take(events)
    old = without(before.rows, *gone)
    steps = Kept(fold, old)
    count = 0
    steps.checkpoint()
    while steps.partition.behind:
        steps.checkpoint()
        count += 1
    assert steps.panes == whole.panes
    assert count >= 2
    for killed in range(count + 2):
        one = Kept(fold, old)
        for _ in range(killed):
            one.checkpoint()
        one.partition.changes()  # a checkpoint that was not committed
        assert one.restarted().settled().panes == whole.panes, f"killed after {killed} checkpoints"
    one = Kept(fold, old)
    for _ in range(count + 2):  # and killed after each of them
        one.checkpoint()
        one.partition.changes()
        one = one.restarted()
    assert one.settled().panes == whole.panes


def long_deal() -> list[dict[str, Any]]:
    events = [event("deal.created", "d", T0, "e000", amount="1", owner="o0", source="web")]
    for i in range(1, 150):
        events.append(event("deal.stage_changed", "d", T0 + i * MINUTE_MS, f"e{i:03}", stage=f"s{i % 3}", amount=str(i)))
    return [*events, event("deal.won", "d", T0 + 150 * MINUTE_MS, "won", amount="77")]


def test_what_was_folded_away_is_booked_from_the_present_where_that_says_it_and_since_says_the_rest() -> None:
    whole = Kept("deals")
    whole.take(long_deal())
    base_at = orjson.loads(whole.rows[b"Ed"])[1]
    kept = Kept("deals", without(whole.rows, "deals_created", "won_amount", "won_sizes", "stage_entered")).settled()
    for name, sums in whole.panes.items():
        for measure in ("deals_created", "won_amount", "won_sizes"):
            assert kept.panes.get(name, {}).get(measure) == sums.get(measure), name
    since = kept.one["since"]
    assert since == {"stage_entered": (base_at // MINUTE_MS + 1) * MINUTE_MS}
    for name, sums in whole.panes.items():
        grain, pane, _ = name[1:].split(":", 2)
        if grain == "m" and int(pane) * MINUTE_MS >= since["stage_entered"]:
            assert kept.panes[name] == sums
    # What comes later takes back what was booked, in the same panes.
    for one in (whole, kept):
        one.take([event("deal.deleted", "d", T0 + 200 * MINUTE_MS, "gone")])
    assert [n for n, sums in kept.panes.items() if {"deals_created", "won_amount", "won_sizes"} & sums.keys()] == []


@pytest.mark.parametrize("fold", ["engagement", "customers", "deals"])
def test_what_no_kept_fact_tells_counts_from_now_on(fold: str) -> None:
    name = {"engagement": "page_views", "customers": "invoices", "deals": "meetings"}[fold]
    events = sorted(MAKERS[fold](5, 80), key=lambda e: e["time"])
    first = Kept(fold)
    first.take(events[:40])
    before = first.panes
    kept = Kept(fold, without(first.rows, name)).settled()
    assert kept.one["since"][name] == (kept.partition.watermark // MINUTE_MS + 1) * MINUTE_MS
    kept = kept.restarted()
    kept.take(events[40:])
    whole = Kept(fold)
    whole.take(events)
    for pane, sums in whole.panes.items():
        expected = {m: n for m, n in sums.items() if m != name}
        late = sums.get(name, 0) - before.get(pane, {}).get(name, 0)
        assert kept.panes.get(pane, {}) == expected | ({name: late} if late else {}), pane


def test_a_measure_that_is_removed_takes_nothing_along() -> None:
    whole = Kept("deals")
    whole.take(MAKERS["deals"](3, 50))
    rows = without(whole.rows, extra=True)
    kept = Kept("deals", rows).settled()
    assert kept.one["made_of"]["measures"] == [m.name for m in MEASURES["deals"]]
    assert kept.one.get("since", {}) == {}
    for one in (whole, kept):
        one.take(MAKERS["deals"](4, 50))
    assert stripped(kept.panes) == whole.panes


def test_a_measure_with_a_new_name_keeps_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Kept("deals")
    whole.take(MAKERS["deals"](3, 50))
    old = {key: value.replace(b'"deals_won"', b'"wins"') for key, value in whole.rows.items()}
    monkeypatch.setitem(RENAMED, "wins", "deals_won")
    kept = Kept("deals", old).settled()
    assert kept.one.get("since", {}) == {}
    for one in (whole, kept):
        one.take(MAKERS["deals"](4, 50))
    back = {name: {("deals_won" if m == "wins" else m): v for m, v in sums.items()} for name, sums in kept.panes.items()}
    assert back == whole.panes


def test_state_that_has_not_changed_is_written_as_before() -> None:
    """Nothing is added to the rows of partitions whose definitions never changed."""
    kept = Kept("deals")
    kept.take([event("deal.created", "d", T0, "1", amount="5")])
    assert kept.one.keys() == {"watermark", "made_of", "settings"}
    names = ("timezone", "currency", "maturity", "session_gap")
    assert kept.one["made_of"].keys() == {"measures", *(f"business.{name}" for name in names)}, "or versions before refuse it"
    assert kept.rows[b"Ed"].count(b"e1") == 0
    assert kept.restarted().partition.behind == 0


# --- what the settings mean by it has changed -------------------------------------------------------------------------

DOLLARS = Rates("USD", {"EUR": [(0, Fraction(1, 2))]})
RATE, OTHER_RATE = {"USD": [(0, Fraction(2))]}, {"USD": [(0, Fraction(3)), (T0 + 3 * DAY_MS, Fraction(5))]}
ORDER = {"sales": ("a", "b", "c")}
CHANGES: dict[str, tuple[str, Business, Business]] = {
    "timezone": ("deals", BUSINESS, replace(BUSINESS, timezone="Asia/Kolkata")),
    "timezone of leads": ("leads", BUSINESS, replace(BUSINESS, timezone="America/New_York")),
    "rates": ("deals", replace(BUSINESS, rates=Rates("EUR", RATE)), replace(BUSINESS, rates=Rates("EUR", OTHER_RATE))),
    "currency": (
        "deals",
        replace(BUSINESS, rates=Rates("EUR", RATE)),
        replace(BUSINESS, currency="USD", rates=DOLLARS),
    ),
    "pipelines": ("deals", BUSINESS, replace(BUSINESS, stage_kinds={"a": "won", "b": "lost"})),
    "segment_limit": ("deals", replace(BUSINESS, segment_limit=1), BUSINESS),
    "segment_limit of leads": ("leads", replace(BUSINESS, segment_limit=1), BUSINESS),
    "maturity": ("leads", BUSINESS, replace(BUSINESS, maturity=5 * DAY_MS)),
    "response_sla": ("leads", BUSINESS, replace(BUSINESS, response_sla=9 * 3_600_000)),
    "stages": ("deals", replace(BUSINESS, stage_orders=ORDER), replace(BUSINESS, stage_orders={"sales": ("c", "b", "a")})),
    "stalled_after": ("deals", BUSINESS, replace(BUSINESS, stalled_after=DAY_MS)),
    "pairs": (
        "deals",
        replace(BUSINESS, pairs=(("owner", "team"),)),
        replace(BUSINESS, pairs=(("owner", "source"), ("owner", "stage"))),
    ),
    "pairs of leads": ("leads", BUSINESS, replace(BUSINESS, pairs=(("owner", "source"),))),
}


def dollars(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events, with some of their amounts in another currency."""
    for place, each in enumerate(events):
        if each["data"].get("amount") is not None and place % 3:
            each["data"]["currency"] = "USD" if place % 3 == 1 else "EUR"
    return events


def kept_facts(panes: dict[str, Any]) -> dict[str, Any]:
    """The panes without the measures that no log holds, and whatever generation they are of."""
    found = {}
    for key, sums in panes.items():
        if left := {m: n for m, n in sums.items() if m not in UNLOGGED}:
            found["P" + key[1:].rpartition(";")[2]] = left
    return found


@pytest.mark.parametrize("what", list(CHANGES))
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60), at=st.floats(0, 1), mix=st.randoms(use_true_random=False))
def test_other_settings_are_as_if_they_had_always_been(what: str, seed: int, count: int, at: float, mix: Any) -> None:
    fold, before, after = CHANGES[what]
    events = dollars(MAKERS[fold](seed, count))
    mix.shuffle(events)
    cut = int(count * at)
    whole = Kept(fold, business=after)
    whole.take(events)
    kept = Kept(fold, business=before)
    kept.take(events[:cut])
    kept = Kept(fold, kept.rows, after)
    if mix.random() < 0.5:
        kept.checkpoint()
        kept = kept.restarted()
    kept.take(events[cut:])
    kept.settled()
    assert kept_facts(kept.panes) == kept_facts(whole.panes)
    assert kept_facts(kept.restarted().settled().panes) == kept_facts(whole.panes)
    assert not kept.one.get("panes") and not kept.one.get("steps")


@pytest.mark.parametrize("what", ["timezone", "currency", "maturity"])
def test_booking_anew_may_be_killed_after_every_checkpoint(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.folds.partition._RAISED", 1)
    monkeypatch.setattr("models.folds.pane_rows._CLEARED", 40)
    fold, before, after = CHANGES[what]
    events = dollars(MAKERS[fold](8, 30))
    whole, kept = Kept(fold, business=after), Kept(fold, business=before)
    whole.take(events)
    kept.take(events)
    steps, count = Kept(fold, kept.rows, after), 0
    while not count or steps.partition.behind:
        steps.checkpoint()
        count += 1
    assert count >= 3
    for killed in range(count + 1):
        one = Kept(fold, kept.rows, after)
        for _ in range(killed):
            one.checkpoint()
        one.partition.changes()
        assert kept_facts(one.restarted().settled().panes) == kept_facts(whole.panes), f"killed after {killed} checkpoints"
    # And with yet another change in the middle, and back again.
    for killed in range(count + 1):
        one = Kept(fold, kept.rows, after)
        for _ in range(killed):
            one.checkpoint()
        one = Kept(fold, one.rows, before)
        one.checkpoint()
        assert kept_facts(Kept(fold, one.rows, after).settled().panes) == kept_facts(whole.panes), f"changed after {killed}"


def test_the_view_holds_nothing_of_what_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.folds.pane_rows._CLEARED", 40)
    fold, before, after = CHANGES["timezone"]
    told: dict[bytes, bytes | None] = {}
    kept = Kept(fold, business=before)
    kept.partition.fold([record(fold, e, i) for i, e in enumerate(MAKERS[fold](8, 30))])

    def checkpoint() -> None:
        changes = kept.partition.changes()
        kept.rows.update({row.key: row.value for row in changes.rows if row.value is not None})
        for row in changes.rows:
            if row.value is None:
                kept.rows.pop(row.key, None)
        told.update({o.key: o.value for o in changes.outputs if o.topic == "panes"})

    checkpoint()
    kept = Kept(fold, kept.rows, after)
    checkpoint()
    assert orjson.loads(told[b"deals:0:a:0:#behind"] or b"{}")["deals_won"] > 0
    while kept.partition.behind:
        checkpoint()
    assert told[b"deals:0:a:0:#behind"] is None
    held = {b"P1;" + key.split(b":", 2)[2]: value for key, value in told.items() if value is not None and b"#" not in key}
    assert held == {key: value for key, value in kept.rows.items() if key[:1] == b"P"}


def test_a_measure_that_comes_back_begins_anew() -> None:
    """Its old numbers lie in rows that nothing has touched meanwhile; without it, facts went uncounted."""
    events = MAKERS["deals"](21, 60)
    whole, kept = Kept("deals"), Kept("deals")
    whole.take(events)
    kept.take(events[:30])
    rows = without(kept.rows, "deals_won")
    for key, value in kept.rows.items():  # a version that knows no wins drops them where it writes
        if key[:1] == b"P":
            rows[key] = value
    between = Kept("deals", rows).settled()
    assert stripped(between.panes) != {}
    between.take(events[30:])
    between.settled()
    assert kept_facts(between.panes) == kept_facts(whole.panes)


@pytest.mark.parametrize(
    ("fold", "change", "mixed", "lost"),
    [
        ("engagement", {"session_gap": 60_000}, {"sessions", "sessions_bounced", "session_millis", "visitors"}, set()),
        ("engagement", {"timezone": "UTC"}, {m.name for m in MEASURES["engagement"]}, set()),
        (
            "customers",
            {"currency": "USD", "rates": DOLLARS},
            set(),
            {"invoiced_amount", "renewed_amount", "first_amount", "term_amount", "terms_due_amount", "terms_kept_amount"},
        ),
        ("customers", {"maturity": 5}, set(), set()),
        ("deals", {"timezone": "UTC"}, {"deal_activities", "meetings", "signatures"}, set()),
        ("deals", {"session_gap": 60_000}, set(), set()),
    ],
)
def test_what_cannot_be_booked_anew_says_since_when_it_is_meant_so(
    fold: str, change: dict[str, Any], mixed: set[str], lost: set[str]
) -> None:
    first = Kept(fold)
    first.take(MAKERS[fold](6, 60))
    kept = Kept(fold, first.rows, replace(BUSINESS, **change)).settled()
    after = (first.partition.watermark // MINUTE_MS + 1) * MINUTE_MS
    assert kept.one.get("since", {}) == dict.fromkeys(mixed | lost, after)
    for name, sums in first.panes.items():
        now = kept.panes.get(name) or kept.panes.get("P1;" + name[1:], {})
        if fold not in LOGGED:
            assert now == {m: n for m, n in sums.items() if m not in lost}
        for measure in mixed:
            assert now.get(measure) == sums.get(measure)


def test_days_that_were_let_go_do_not_come_back_with_a_longer_reach() -> None:
    short, long = replace(BUSINESS, keep_days=10 * DAY_MS), replace(BUSINESS, keep_days=20 * DAY_MS)
    first = Kept("leads", business=short)
    first.take([event("lead.created", f"l{day}", T0 + day * DAY_MS, f"e{day}") for day in range(30)])
    kept = Kept("leads", first.rows, long)
    since = BUSINESS.calendar.day_start(BUSINESS.calendar.day(T0 + 19 * DAY_MS))
    kept.take([event("lead.created", "more", T0 + 29 * DAY_MS, "more")])
    assert kept.one["since"] == {m.name: since for m in MEASURES["leads"]} and "version" not in kept.one
    assert Kept("leads", kept.rows, short).restarted().partition.since["leads"] == since


def test_a_stage_more_changes_nothing_unless_it_ends_a_deal() -> None:
    first = Kept("deals")
    first.take(MAKERS["deals"](6, 60))
    assert Kept("deals", first.rows, replace(BUSINESS, stage_kinds={"a": "open", "new": "open"})).partition.behind == 0
    assert Kept("deals", first.rows, replace(BUSINESS, stage_kinds={"a": "won"})).partition.behind > 0


def test_rates_of_days_to_come_change_nothing() -> None:
    first = Kept("deals", business=replace(BUSINESS, rates=Rates("EUR", RATE)))
    first.take(MAKERS["deals"](6, 60))
    later = {"USD": [*RATE["USD"], (first.partition.watermark + 1, Fraction(9))]}
    kept = Kept("deals", first.rows, replace(BUSINESS, rates=Rates("EUR", later)))
    assert kept.partition.behind == 0 and "version" not in kept.one


# --- what readings say of it ------------------------------------------------------------------------------------------

CATALOGUE = load_catalogue()
WEEK = Window.parse("7d")


class Seen:
    """A view, fed with all that partitions hand over."""

    def __init__(self) -> None:
        self.view = View(BUSINESS)

    def checkpoint(self, kept: Kept) -> None:
        changes = kept.partition.changes()
        for row in changes.rows:
            kept.rows[row.key] = row.value or b"{}"
        for output in changes.outputs:
            if output.topic == "panes":
                self.view.put(output.key, output.value)

    def reading(self, kpi: str, at: int, window: Window = WEEK) -> Reading:
        return CATALOGUE.reading(CATALOGUE.get(kpi), self.view, window, "total", at)


def test_what_is_counted_from_now_on_says_since_when() -> None:
    first = Kept("engagement")
    first.take([event("web.page_viewed", "v", T0, "1"), event("web.page_viewed", "v", T0 + DAY_MS, "2")])
    seen = Seen()
    kept = Kept("engagement", without(first.rows, "sessions"))
    kept.partition.fold([record("engagement", event("web.page_viewed", "w", T0 + 2 * DAY_MS, "3"))])
    seen.checkpoint(kept)
    since = (T0 + DAY_MS) // MINUTE_MS * MINUTE_MS + MINUTE_MS
    young, old = (seen.reading("sessions", at) for at in (T0 + 3 * DAY_MS, T0 + 8 * DAY_MS + 60 * MINUTE_MS))
    assert young.value is not None and young.since == since and young.as_json()["since"] == iso(since)
    assert Reading.decode(young.encode()) == young
    assert old.since is None and "since" not in old.as_json()
    assert young.value == 1
    # Of a quotient only one part of which is whole there is no value.
    rate = seen.reading("bounce_rate", T0 + 3 * DAY_MS)
    assert (
        rate.value is None
        and rate.since == since
        and rate.why == f"some of what it is made of is counted from {iso(since)[:10]} on only"
    )
    assert seen.reading("bounce_rate", T0 + 8 * DAY_MS + 60 * MINUTE_MS).value == 1
    assert seen.reading("sales", T0 + 3 * DAY_MS).since is None
    # No rule judges it: what was not counted is nobody's absence.
    for condition in (VALUE, Absent(), Change("previous")):
        assert condition.measured(young, 0) is None
    assert VALUE.measured(old, 0) == 1
    # It is nothing to compare with.
    assert young.whole().value is None and "counted from" in (young.whole().why or "")
    assert old.whole() is old
    # A restart says it again, to whoever missed it.
    again = Seen()
    restarted = kept.restarted()
    restarted.partition.fold([record("engagement", event("web.page_viewed", "w", T0 + 2 * DAY_MS, "4"))])
    again.checkpoint(restarted)
    assert again.view.since == {"sessions": since}


def test_what_another_worker_does_not_count_yet_has_no_value() -> None:
    """Versions are exchanged one worker after another: half a sum is never shown."""
    seen = Seen()
    for partition in (0, 1):
        kept = Kept("deals")
        kept.partition = EntityPartition("deals", partition, BUSINESS)
        kept.partition.fold([record("deals", event("deal.won", f"d{partition}", T0, "e", amount="5"))])
        seen.checkpoint(kept)
    at = T0 + DAY_MS
    assert seen.reading("sales", at).value == 2 and seen.view.behind == {}
    counted = {m.name: 1 for m in MEASURES["deals"] if m.name != "deals_won"}
    seen.view.put(b"deals:1:a:0:#counted", orjson.dumps(counted))
    assert seen.reading("sales", at).value is None and seen.reading("revenue", at).value == 10
    seen.view.put(b"deals:1:a:0:#counted", orjson.dumps(counted | {"deals_won": 1}))
    assert seen.reading("sales", at).value == 2
    with pytest.raises(ValueError, match="accepted: an object of whole numbers"):
        seen.view.put(b"deals:1:a:0:#counted", b"[1]")


def test_what_is_being_booked_has_no_value_and_the_rest_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.folds.partition._RAISED", 1)
    first = Kept("deals")
    first.take([event("deal.created", f"d{i}", T0, f"e{i}", amount="5") for i in range(4)])
    first.take([event("deal.won", f"d{i}", T0 + DAY_MS, f"w{i}") for i in range(4)])
    whole = Seen()
    whole.checkpoint(Kept("deals"))
    for name, value in first.panes.items():
        whole.view.put(f"deals:0:{name[1:]}".encode(), orjson.dumps(value))
    old = without(first.rows, "won_amount")
    seen, kept = Seen(), Kept("deals", old)
    for name, value in kept.panes.items():
        seen.view.put(f"deals:0:{name[1:]}".encode(), orjson.dumps(value))
    at, said = T0 + 2 * DAY_MS, []
    while True:
        seen.checkpoint(kept)
        reading = seen.reading("revenue", at)
        said.append(reading.why)
        assert seen.reading("open_pipeline", at).value == 0
        if not kept.partition.behind:
            break
        assert reading.value is None and reading.since == at
        assert Absent().measured(reading, 0) is None
    assert len(said) == 4 and said[0] == "being counted from the facts that are kept: not whole yet"
    assert seen.reading("revenue", at) == whole.reading("revenue", at) and said[-1] is None
    assert seen.view.behind == {} == seen.view.since
