"""In which rows are the panes of a partition kept, what of them do others hear, and what becomes of rows of earlier generations?

A generation begins where sums are counted anew (``models/folds/evolve.py``): ``P<pane>`` in the first, then
``P<generation>;<pane>``.
"""

from collections.abc import Iterator

import orjson

from models.calendar import Grain
from models.fold import Output, Row
from models.folds.evolve import Standing
from models.panes.store import BEHIND, COUNTED, SINCE, Panes

_CLEARED = 2_000  # rows of panes of an earlier generation removed per checkpoint


class PaneRows:
    """The rows of one partition's panes. ``stale``: those of earlier generations, still to be removed (key, pane)."""

    def __init__(self, fold: str, partition: int, panes: Panes) -> None:
        self._prefix = f"{fold}:{partition}:"
        self._panes = panes
        self.stale: list[tuple[bytes, str]] = []
        self._said: dict[str, dict[str, int]] = {}  # what others were told of what is not whole

    def restore(self, rows: list[tuple[bytes, bytes]], standing: Standing) -> None:
        """Take the sums back. Of a pane that has rows of several generations the latest counts."""
        restore = self._panes.restore
        news = [b'"%b"' % name.encode() for name in standing.news]
        if news and any(name in body for _, body in rows for name in news):
            standing.turn(standing.news)  # there was such a measure before, which nothing has counted meanwhile
        if standing.version:  # what was said before may be out of date
            self._said = {SINCE: {"": 0}, BEHIND: {"": 0}}
        if not standing.panes:
            for key, body in rows:
                restore(_pane(key)[1], body)
            return
        held: set[str] = set()
        for generation, name, key, body in sorted(((*_pane(key), key, body) for key, body in rows), reverse=True):
            if generation == standing.generation:
                restore(name, body)
            else:
                self.stale.append((key, name))
                if name not in held:
                    restore(name, body, standing.panes[generation])
            held.add(name)

    def changes(self, standing: Standing, rows: list[Row], outputs: list[Output]) -> None:
        """Add the rows of panes that have changed, and what each tells; those of earlier generations go, some at a time."""
        prefix, generation = self._prefix.encode(), standing.generation
        cleared, self.stale = self.stale[-_CLEARED:], self.stale[:-_CLEARED]
        if not self.stale:
            standing.panes = {}
        for key, name in cleared:
            rows.append(Row(key, None))
            # What of it still counts is written under the present generation.
            if not self._panes.touch(name):
                outputs.append(Output("panes", prefix + name.encode(), None))
        kind = f"P{generation};".encode() if generation else b"P"
        new = tuple.__new__  # of thousands: their own constructors take three times as long
        for name, body in self._panes.changes():
            key = name.encode()
            rows.append(new(Row, (kind + key, body)))
            outputs.append(new(Output, ("panes", prefix + key, body, None, ())))

    def notes(self, standing: Standing, behind: int) -> Iterator[Output]:
        """Say from when measures are whole, and which are not yet, where that has changed."""
        said = {
            SINCE: standing.since,
            BEHIND: dict.fromkeys(standing.waiting, behind),
            COUNTED: dict.fromkeys(standing.made_of["measures"], 1),
        }
        for segment, note in said.items():
            if note != self._said.get(segment, {}):
                self._said[segment] = dict(note)
                key = f"{self._prefix}{Grain.ALL.value}:0:{segment}"
                yield Output("panes", key.encode(), orjson.dumps(note) if note else None)


def _pane(key: bytes) -> tuple[int, str]:
    """Return the generation and the name of a pane from its row's key: ``P<pane>``, or ``P<generation>;<pane>``."""
    text = key[1:].decode()
    if text[0].isdigit():
        generation, _, name = text.partition(";")
        return int(generation), name
    return 0, text
