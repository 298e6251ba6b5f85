"""Links that are signed: what is changed is refused, keys can be replaced, and nothing outlives its time."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.tell.delivery import Delivery
from alert_rules.tell.signed_links import LONGEST, LinkError, LinkKey, Links, SignedLink, silencing
from alert_rules.tell.stages.match import Matcher, all_match
from tests.alert_rules.readings import BASE

OLD, NEW = LinkKey("2026-10", b"o" * 32), LinkKey("2026-11", b"n" * 32)
LINKS = Links((NEW, OLD), "https://vigie.example.com/", 7 * 86_400_000)
LINK = SignedLink("ack", "i1", "boss", "msg_1", BASE + 60_000)


def message(**changes: Any) -> Delivery:
    alert = {"kind": "fired", "group": {"incident": "i1"}} | changes
    return Delivery("msg_1", "boss", "i1", 0, BASE, 0, BASE, None, alert)


def test_what_was_signed_is_read_until_it_expires() -> None:
    token = LINKS.sign(LINK)
    assert LINKS.read(token, BASE + 59_999) == LINK
    with pytest.raises(LinkError, match="expired") as error:
        LINKS.read(token, BASE + 60_000)
    assert error.value.expired
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."), "safe in a URL as it is"


def test_a_key_is_replaced_without_breaking_the_links_in_peoples_mailboxes() -> None:
    before, during, after = Links((OLD,), "", 1), LINKS, Links((NEW,), "", 1)
    token = before.sign(LINK)
    assert during.read(token, BASE) == LINK and during.sign(LINK).startswith("2026-11.")
    with pytest.raises(LinkError, match="no longer used"):
        after.read(token, BASE)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_is_changed_is_refused(data: st.DataObject) -> None:
    token = LINKS.sign(LINK)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABab01-_.é"))
    changed = token[:place] + other + token[place + 1 :]
    if changed == token:
        return
    with pytest.raises(LinkError):
        LINKS.read(changed, BASE)


@given(st.text(max_size=200))
def test_whatever_comes_is_refused_in_order(text: str) -> None:
    with pytest.raises(LinkError):
        LINKS.read(text, BASE)


def test_nothing_can_be_moved_from_one_link_to_another() -> None:
    kid, body, mac = LINKS.sign(LINK).split(".")
    other = LINKS.sign(replace(LINK, incident="i2")).split(".")
    for parts in ((kid, other[1], mac), (OLD.id, body, mac), (kid, body + "=", mac), (kid, body, mac + "A"), (kid, body, "")):
        with pytest.raises(LinkError):
            LINKS.read(".".join(parts), BASE)
    assert b'"ack"' in base64.urlsafe_b64decode(body + "==")


def test_what_a_message_offers() -> None:
    actions = LINKS.actions(message())
    assert [(a.name, a.text) for a in actions] == [("ack", "Acknowledge"), ("silence", "Silence 1 h"), ("open", "Open")]
    assert actions[0].url == f"https://vigie.example.com/act/{actions[0].token}"
    read = LINKS.read(actions[1].token, BASE)
    assert (read.act, read.incident, read.receiver, read.matchers) == ("silence", "i1", "boss", ('incident="i1"',))
    assert read.expires == BASE + 7 * 86_400_000
    assert LINKS.actions(message()) == actions, "the same at every attempt"
    assert LINKS.actions(replace(message(), id="msg_2"))[0].token != actions[0].token, "each message's link works once"
    assert [a.name for a in LINKS.actions(message(acknowledged={"by": "ann"}))] == ["silence", "open"]
    assert [a.name for a in LINKS.actions(message(kind="resolved"))] == ["open"]
    assert [a.name for a in LINKS.actions(message(group={"team": "x" * LONGEST}))] == ["ack", "open"], "too long for Slack"
    assert Links((), "https://vigie.example.com", 1).actions(message()) == ()
    assert Links((NEW,), "", 1).actions(message()) == ()


def test_open_leads_to_what_the_message_is_about() -> None:
    group = [
        {"incident": "over", "state": "resolved"},
        {"incident": "a/b c", "state": "firing"},
        {"incident": "i3", "state": "firing"},
    ]
    for changes, place in (
        ({}, "#alert=i1"),
        ({"alerts": group}, "#alert=a%2Fb%20c"),
        ({"alerts": group[:1], "kind": "resolved"}, "#alert=i1"),
        ({"kind": "digest"}, ""),
    ):
        assert LINKS.actions(message(**changes))[-1].url == f"https://vigie.example.com/{place}"


@given(st.dictionaries(st.sampled_from(["team", "rule", "source"]), st.text(max_size=20)))
def test_a_silence_is_about_the_group_and_never_about_everything(group: dict[str, str]) -> None:
    matchers = [Matcher.parse(text) for text in silencing("i1", group)]
    if not matchers:
        assert group and not any(group.values())
        return
    assert all_match(matchers, group | {"incident": "i1"}) and not all_match(matchers, {})
