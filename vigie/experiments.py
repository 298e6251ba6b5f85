"""``vigie experiments``: which of two variants sells better?"""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from models.config.suggest import near
from models.unusable import UnusableQuestion, no_slip
from vigie import remote
from vigie.common import Config, plain, refuse
from vigie.json_lines import answer_lines

if TYPE_CHECKING:
    from models.experiments.running import Experiment

_OF_A_CASE = ("variant", "deal", "won")
_KEYS = ("test", "look", "at", *_OF_A_CASE)

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
    from models.experiments.running import Experiment  # numpy comes with it

    tests: dict[Any, Experiment] = {}

    def answer(line: dict[str, Any]) -> dict[str, Any] | None:
        name = line.get("test")
        if name is not None and (not isinstance(name, str | int) or isinstance(name, bool)):
            raise UnusableQuestion("test", name, "a text or a whole number")
        test = tests.get(name)
        if test is None:
            test = tests[name] = Experiment(ratio, maturity)
        return take(test, line)

    answer_lines("experiments evaluate", stdin, "test", answer)


def take(test: "Experiment", line: dict[str, Any]) -> dict[str, Any] | None:
    """Give a test what a line says; return what a look says. Raises ``UnusableQuestion``."""
    no_slip(line, _KEYS)
    if "look" in line:
        if line["look"] is not True:
            raise UnusableQuestion("look", line["look"], "true")
        if beside := next((key for key in _OF_A_CASE if key in line), None):
            raise UnusableQuestion(beside, line[beside], "a case and a look, a line each")
        return test.look(_number(line["at"]) if line.get("at") is not None else None)._asdict()
    variant, won = line.get("variant"), line.get("won")
    if "deal" not in line:
        if not isinstance(variant, str) or not variant:
            raise UnusableQuestion("variant", variant, "the name of a variant")
        if won not in (True, False):
            raise UnusableQuestion("won", won, "true or false")
        test.outcome(variant, bool(won))
        return None
    deal = line["deal"]
    if not isinstance(deal, str | int) or isinstance(deal, bool) or deal == "":
        raise UnusableQuestion("deal", deal, "a deal's id")
    if variant is not None and (not isinstance(variant, str) or not variant):
        raise UnusableQuestion("variant", variant, "the name of a variant")
    if won not in (True, False, None):
        raise UnusableQuestion("won", won, "true, false, or null for open again")
    test.deal(deal, variant, _number(line.get("at")), won if won is None else bool(won), told="won" in line)
    return None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableQuestion("at", value, "a number of days")
    return float(value)


Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]


@app.command("list")
def list_(url: remote.Url = None, json: Json = False, config: Config = None) -> None:
    """List the tests that the settings declare (`experiments`), as a running instance knows them: a line each."""
    found = _asked(url, config)
    if json:
        return _as_json(found)
    if not found:
        print("no tests: none are declared (settings: experiments)")
    for test in found:
        print(plain(f"{test['name']}: {_said(test)}"))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The test's name.")], url: remote.Url = None, json: Json = False,
    config: Config = None,
) -> None:  # fmt: skip
    """Show one test: what it says, of how many, by how much, and what is still needed."""
    found = _asked(url, config)
    test = next((one for one in found if one["name"] == name), None)
    if test is None:
        names = [str(one["name"]) for one in found]
        refuse(f"unknown test {name!r}{near(name, names)}", 2)
    if json:
        return _as_json(test)
    print("\n".join(plain(line) for line in experiment_lines(test)))


def experiment_lines(test: dict[str, Any]) -> list[str]:
    """Return what a test says, in lines for people."""
    unit = str(test.get("unit", "lead"))
    reached = "won" if unit == "deal" else "converted"
    lines = [f"{test['name']}, since {test['since']}", _said(test)]
    for one in test["variants"]:
        rate = f"{one['share']:.1%} ({one['low']:.1%} – {one['high']:.1%})" if one["share"] is not None else "–"
        lines.append(
            f"  {one['variant']}: {one['entered']:,} {unit}s, {one['judged']:,} of age, {one['won']:,} {reached}: {rate}"
        )
    if test.get("left_out"):
        lines.append(f"  {test['left_out']:,} had both variants, and count for neither")
    first, second = (one["variant"] for one in test["variants"])
    if (lift := test["lift"]) is not None:
        lines += [
            f"  {second} less {first}: {100 * lift['difference']:+.1f} points "
            f"(between {100 * lift['low']:+.1f} and {100 * lift['high']:+.1f}, however often one looks)",
            f"  expected loss: {100 * lift['loss_of_a']:.2f} points with {first}, {100 * lift['loss_of_b']:.2f} with {second}",
        ]
    if test["needed"] is not None:
        lines.append(f"  if the difference is as it looks: decided after some {test['needed']:,} more {unit}s of age")
    lines += [f"  note: {warning}" for warning in test.get("warnings", ())]
    for one in test.get("segments", ()):
        a, b = (f"{each['won']:,} of {each['judged']:,}" for each in one["variants"])
        lines.append(f"  exploratory, {one['by']} {one['value']}: {first} {a}, {second} {b}")
    return lines


def _said(test: dict[str, Any]) -> str:
    decided = f"{test['decision']} is better (decided on {test['decided']})" if test["decided"] else "not decided"
    if test["srm"]:
        one, other = (f"{one['entered']:,}" for one in test["variants"])
        return (
            f"{decided}; the variants are not given as designed ({one} and {other}, since {test['srm_since']}): do not trust it"
        )
    return f"{decided}: {test['why']}" if test["why"] else f"{decided}; evidence {test['evidence']:,.2f} (25 decides)"


def _asked(url: str | None, config: Any) -> list[dict[str, Any]]:
    where = remote.address_of(url, config)
    try:
        found = remote.ask("GET", f"{where}/api/experiments")
    except remote.RemoteRefused as error:
        refuse(f"{where}/api/experiments: {error} (is `vigie up` or `vigie web` running there?)")
    return list(found)


def _as_json(found: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()
