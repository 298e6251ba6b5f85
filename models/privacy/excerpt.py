"""What of a record of several people is shown to one of them? Their part of it, and nothing of the others."""

from collections.abc import Callable
from typing import Any


def excerpt(tree: Any, speaks: Callable[[str], bool]) -> Any:
    """Return a record as JSON without what is of others only; ``speaks`` says whether a text has to do with the person.

    Of a list of records, rows or ids, of an object that is a map by id, and of the lines of a text, those that speak of the
    person are left, where some do. A list of values of several kinds is one row, and stays whole.
    """
    if isinstance(tree, dict):
        theirs = {name for name in tree if speaks(name)}
        return {name: excerpt(value, speaks) for name, value in tree.items() if not theirs or name in theirs}
    if isinstance(tree, list):
        alike = len({type(one) for one in tree}) == 1 and isinstance(tree[0], (dict, list, str))
        about = [one for one in tree if _about(one, speaks)] if alike else []
        return [excerpt(one, speaks) for one in about or tree]
    if isinstance(tree, str) and "\n" in tree:
        return "\n".join([line for line in tree.splitlines() if speaks(line)] or [tree])
    return tree


def _about(tree: Any, speaks: Callable[[str], bool]) -> bool:
    if isinstance(tree, dict):
        return any(speaks(name) or _about(value, speaks) for name, value in tree.items())
    if isinstance(tree, list):
        return any(_about(one, speaks) for one in tree)
    return speaks(str(tree)) if isinstance(tree, (str, int)) else False
