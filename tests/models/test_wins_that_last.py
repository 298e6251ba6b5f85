"""Wins that do not last, and wins that came before they were expected."""

from tests.models.company import Company, at


def test_a_win_that_is_lost_or_opened_again_within_90_days_was_none_until_it_is_won_again() -> None:
    of = Company()
    for n, owner in enumerate(("ann", "bob", "ann", "ann")):
        of.tell(f"deal.created D{n} 2026-01-05", owner=owner, amount=100).tell(f"deal.won D{n} 2026-02-0{n + 1}")
    assert of.value("cancellation_rate", "2026-03-01", "quarter") == 0
    of.tell("deal.reopened D0 2026-03-10").tell("deal.lost D1 2026-03-10", owner="cy").tell("deal.reopened D2 2026-06-10")
    assert of.value("cancellation_rate", "2026-04-01", "quarter") == 2 / 3, "more than 90 days later it was a win"
    assert of.value("cancellation_rate", "2026-04-01", "quarter", "owner=bob") == 1, "who had the credit then"
    of.tell("deal.won D0 2026-03-12")
    assert of.value("cancellation_rate", "2026-04-01", "quarter") == 1 / 3
    of.tell("deal.deleted D1 2026-03-20")
    assert of.value("cancellation_rate", "2026-04-01", "quarter") == 0


def test_what_was_won_before_it_was_expected() -> None:
    of = Company()

    def ahead() -> dict[str, dict[int, int]]:
        names = ("won_ahead", "won_ahead_listed", "won_ahead_below")
        cells = of.view.total("deals", "owner=ann", at("2026-01-01"), at("2026-03-01"))
        return {name: dict(cells.values.get(name, {})) for name in names}

    of.tell("deal.created D0 2026-01-05", owner="ann", amount=80, list_amount=100, expected_close_date="2026-03-20")
    of.tell("deal.updated D0 2026-01-20", expected_close_date="2026-01-31").tell("deal.won D0 2026-01-31")
    assert ahead() == {"won_ahead": {48: 1}, "won_ahead_listed": {48: 1}, "won_ahead_below": {48: 1}}, "as was first said"
    of.tell("deal.updated D0 2026-02-01", amount=100)
    assert ahead()["won_ahead_below"] == {}
    of.tell("deal.created D1 2026-01-05", owner="ann", expected_close_date="2026-01-20").tell("deal.won D1 2026-01-31")
    of.tell("deal.reopened D0 2026-02-02")
    assert ahead() == {"won_ahead": {}, "won_ahead_listed": {}, "won_ahead_below": {}}
