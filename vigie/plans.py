"""Which tests, objectives and challenges are there by the settings, and does the catalogue know what they are about?"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from fastapi import FastAPI

from alert_rules.judge.rule import Rule
from models.config.suggest import near
from models.goals.kept import TOPIC
from models.goals.known import wrong_challenge, wrong_objective
from models.goals.objectives import Chance
from models.goals.plan import Playbook
from models.goals.standings import Standings
from models.kpis.catalogue import Catalogue
from models.panes.view import View
from stream.config.settings import Settings, SettingsError
from stream.engine.options import EngineOptions
from stream.engine.topic_tail import TopicTail
from stream.web import goals, playbooks
from stream.web.operate import Operations
from vigie.acts import Acts


def open_goals(
    web: FastAPI, options: EngineOptions, stack: contextlib.AsyncExitStack, operations: Operations,
    plans: Callable[[], Standings], whole: Callable[[], View], books: Sequence[Playbook],
    chances: Callable[[set[str | None]], Chance],
) -> None:  # fmt: skip
    """Let people see and set objectives, and see challenges and playbooks, until the stack ends."""
    acts = Acts(options, topic=TOPIC)
    stack.callback(acts.close)
    web.include_router(goals.router(plans, whole, operations, acts.put, chances))
    web.include_router(playbooks.router(books, plans().catalogue, whole, TopicTail(options, "alerts").last))


def plans_of(settings: Settings, catalogue: Catalogue) -> Standings:
    """Return them; raise :class:`~stream.config.settings.SettingsError` with all that is wrong."""
    found = Standings(
        catalogue,
        [one.plan() for one in settings.experiments],
        [one.objective() for one in settings.objectives],
        [one.challenge() for one in settings.challenges],
        settings.leaderboards.show,
        settings.leaderboards.least,
        frozenset((*settings.leaderboards.left_out, *settings.people_figures.left_out)),
        settings.people.name,
    )
    problems = list(_problems(found))
    if problems:
        raise SettingsError(problems)
    return found


def playbooks_of(settings: Settings, catalogue: Catalogue, rules: Sequence[Rule] | None = None) -> list[Playbook]:
    """Return the playbooks; raise ``SettingsError`` for KPIs, and (where they are given) rules, that there are not."""
    found, problems = [one.playbook() for one in settings.playbooks], []
    for place, book in enumerate(found):
        if book.kpi and book.kpi not in catalogue.kpis:
            problems.append(f"playbooks[{place}].kpi: unknown KPI {book.kpi!r}{near(book.kpi, sorted(catalogue.kpis))}")
        names = None if rules is None else sorted(rule.id for rule in rules)
        for rule in book.rules if names is not None else ():
            if rule not in (names or ()):
                problems.append(f"playbooks[{place}].rules: unknown rule {rule!r}{near(rule, names or ())}")
    if problems:
        raise SettingsError(problems)
    return found


def _problems(plans: Standings) -> Iterator[str]:
    kpis = plans.catalogue.kpis
    for place, test in enumerate(plans.experiments):
        for number, guard in enumerate(test.guards):
            where = f"experiments[{place}].guards[{number}].kpi"
            kpi = kpis.get(guard.kpi)
            if kpi is None:
                yield f"{where}: unknown KPI {guard.kpi!r}{near(guard.kpi, sorted(kpis))}"
            elif "variant" not in kpi.by:
                yield f"{where}: found {guard.kpi}, which is not told by variant (accepted: such as discount_rate, win_rate)"
            elif kpi.interval != "wilson" and guard.at_most is None and guard.at_least is None:
                yield f"{where}: found {guard.kpi}, no share of counted cases (accepted with at_most or at_least)"
    for place, objective in enumerate(plans.objectives):
        yield from (f"objectives[{place}].{field}: {text}" for field, text in wrong_objective(plans.catalogue, objective))
    for place, challenge in enumerate(plans.challenges):
        yield from (f"challenges[{place}].{field}: {text}" for field, text in wrong_challenge(plans.catalogue, challenge))
