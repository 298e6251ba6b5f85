"""Is this body JSON that means the same to every reader?"""

import json
from typing import Any

import orjson

from models.events.refused import Reason
from stream.sources.crm.base import Unusable

#: Deeper than any CRM nests, far from where a parser's recursion ends.
DEPTH = 32


class _Twice(ValueError):
    """A key is there twice."""


def parse(body: bytes) -> Any:
    """Return the JSON of a body; raise :class:`Unusable`.

    Refused: invalid UTF-8, NaN and infinities, keys that are there twice (which one counts depends on the reader), and
    nesting beyond :data:`DEPTH`.
    """
    if not body.strip():
        raise Unusable(Reason.NO_VALUE, "body: empty")
    try:
        orjson.loads(body)  # strict on UTF-8, NaN, surrogates and depth, and quick to say so
        found = json.loads(body, object_pairs_hook=_object, parse_constant=_constant)
    except _Twice as error:
        raise Unusable(Reason.BAD_JSON, f"body: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Unusable(Reason.BAD_JSON, f"body: not JSON ({str(error)[:120]})") from None
    if body.count(b"{") + body.count(b"[") > DEPTH and _depth(found) > DEPTH:
        raise Unusable(Reason.BAD_JSON, f"body: nested deeper than {DEPTH}")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice("a key is there twice in one object")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _depth(tree: Any) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        below: list[Any] = []
        for node in level:
            children = node.values() if isinstance(node, dict) else node
            below += [child for child in children if isinstance(child, dict | list)] if isinstance(node, dict | list) else []
        level = below
    return depth


def objects(tree: Any, most: int) -> list[Any]:
    """Return the notifications of a body: one object, or an array of them."""
    found = tree if isinstance(tree, list) else [tree]
    if len(found) > most:
        raise Unusable(Reason.TOO_LARGE, f"body: found {len(found)} notifications, accepted are {most}")
    return found


def each(tree: Any, most: int) -> list[dict[str, Any]]:
    """Return the notifications, all of them objects."""
    found = objects(tree, most)
    for one in found:
        if not isinstance(one, dict):
            raise Unusable(Reason.NOT_AN_OBJECT, f"body: found {type(one).__name__}, accepted is an object or an array of them")
    return found
