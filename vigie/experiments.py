"""``vigie experiments``: which of two variants sells better?"""

from typing import Annotated, Any

import typer

from models.experiments.running import Experiment
from models.unusable import Unusable
from vigie.common import refuse
from vigie.json_lines import answer_lines

app = typer.Typer(name="experiments", no_args_is_help=True, help="Tests of two variants: which one sells better.")


@app.callback()
def experiments() -> None:
    """Tests of two variants: which one sells better."""


@app.command()
def evaluate(
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read cases and looks from standard input, a JSON object a line.")
    ] = False,
    maturity: Annotated[
        float | None, typer.Option(help="Judge deals at this age (days); without it, it is learnt from the deals.")
    ] = None,
    ratio: Annotated[float, typer.Option(help="The designed share of the second variant, by the order of names.")] = 0.5,
) -> None:
    """Judge tests while they run, as often as you look: at most one test in twenty of variants that are alike is ever decided.

    {"test", "variant", "won"}: an outcome. {"test", "deal", "variant", "at": days, "won"}: a deal that enters; a later line of it
    with "won" says what became of it. {"test", "look": true, "at"}: a look, answered with {"test", "look": number, "decision":
    "none" or the better variant, "srm": the variants are not given in the designed ratio, "judged", "left_out"}.
    """
    if maturity is not None and maturity < 0:
        refuse(f"--maturity: found {maturity:g} (accepted: 0 or more days)", 2)
    if not 0 < ratio < 1:
        refuse(f"--ratio: found {ratio:g} (accepted: more than 0 and less than 1)", 2)
    tests: dict[Any, Experiment] = {}

    def answer(line: dict[str, Any]) -> dict[str, Any] | None:
        name = line.get("test")
        if name is not None and not isinstance(name, str | int):
            raise Unusable("test", name, "a text or a whole number")
        test = tests.get(name)
        if test is None:
            test = tests[name] = Experiment(ratio, maturity)
        return take(test, line)

    answer_lines("experiments evaluate", stdin, "test", answer)


def take(test: Experiment, line: dict[str, Any]) -> dict[str, Any] | None:
    """Give a test what a line says; return what a look says. Raises ``Unusable``."""
    if "look" in line:
        if line["look"] is not True:
            raise Unusable("look", line["look"], "true")
        return test.look(_number(line["at"]) if line.get("at") is not None else None)._asdict()
    variant, won = line.get("variant"), line.get("won")
    if "deal" not in line:
        if not isinstance(variant, str) or not variant:
            raise Unusable("variant", variant, "the name of a variant")
        if won not in (True, False):
            raise Unusable("won", won, "true or false")
        test.outcome(variant, bool(won))
        return None
    deal = line["deal"]
    if not isinstance(deal, str | int) or isinstance(deal, bool) or deal == "":
        raise Unusable("deal", deal, "a deal's id")
    if variant is not None and (not isinstance(variant, str) or not variant):
        raise Unusable("variant", variant, "the name of a variant")
    if won not in (True, False, None):
        raise Unusable("won", won, "true, false, or null for open again")
    test.deal(deal, variant, _number(line.get("at")), won if won is None else bool(won), told="won" in line)
    return None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("at", value, "a number of days")
    return float(value)
