"""Where does a partition keep its deals, leads, visitors and accounts, small when cold and quick when hot?

Every entity is one row of JSON. What was touched lately is also kept as an object; a restored partition holds bytes only, so
that a million deals come back without being decoded.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

S = TypeVar("S")


class Entities(Generic[S]):
    """The entities of one partition, by id."""

    __slots__ = ("_decode", "_dirty", "_encode", "_hot", "_limit", "_raised", "_rows", "_sweep", "_waiting", "raises")

    def __init__(self, decode: Callable[[bytes], S], encode: Callable[[S], bytes], limit: int = 4096) -> None:
        """Take the row's codec and how many objects may stay decoded between two checkpoints."""
        self._decode = decode
        self._encode = encode
        self._limit = limit
        self._rows: dict[str, bytes] = {}
        self._hot: dict[str, S] = {}
        self._dirty: dict[str, S] = {}
        self._sweep: Iterator[str] = iter(())
        #: Brings an entity up to the definitions in force; says whether it was behind. None while none can be.
        self.raises: Callable[[S], bool] | None = None
        self._waiting: list[str] = []  # entities that may be behind
        self._raised: dict[str, S] = {}  # brought up since the last `changes`

    def __len__(self) -> int:
        return len(self._rows.keys() | self._dirty.keys())

    def get(self, key: str) -> S | None:
        """Return the entity, or None where it is not known."""
        state = self._hot.get(key)
        if state is None:
            row = self._rows.get(key)
            if row is None:
                return None
            state = self._hot[key] = self._decode(row)
            if self.raises is not None and self.raises(state):
                self._raised[key] = state
        return state

    def has(self, key: str) -> bool:
        """Whether the entity is known."""
        return key in self._hot or key in self._rows

    def put(self, key: str, state: S) -> None:
        """Keep the entity, which is new or has been changed in place."""
        self._hot[key] = state
        self._dirty[key] = state

    @property
    def dirty(self) -> Mapping[str, S]:
        """The entities that were put since the last :meth:`changes`."""
        return self._dirty

    def restore(self, key: str, row: bytes) -> None:
        """Take one row back."""
        self._rows[key] = row

    def changes(self) -> list[tuple[str, bytes]]:
        """Return the rows of all that was put since the last call."""
        encode = self._encode
        out = [(key, encode(state)) for key, state in (self._raised | self._dirty).items()]
        self._rows.update(out)
        self._dirty, self._raised = {}, {}
        hot = self._hot
        for key in list(hot)[: max(0, len(hot) - self._limit)]:
            del hot[key]
        return out

    @property
    def behind(self) -> int:
        """How many entities have still to be looked at, whether they are booked under the definitions in force."""
        return len(self._waiting)

    def raise_all(self, by: Callable[[S], bool]) -> None:
        """From now on bring every entity up with ``by`` before it is touched, and the others with :meth:`raise_some`."""
        self.raises = by
        self._waiting = sorted(self._rows, reverse=True)

    def raise_some(self, most: int) -> None:
        """Bring up entities that nothing has touched, until ``most`` bytes of them have been looked at."""
        raises = self.raises
        while raises is not None and self._waiting and most > 0:
            key = self._waiting.pop()
            row = self._rows.get(key)
            if row is None or key in self._hot:  # gone, or brought up when it was touched
                continue
            most -= len(row)
            state = self._decode(row)
            if raises(state):
                self._raised[key] = state
        if not self._waiting:
            self.raises = None

    def begin_sweep(self) -> None:
        """Start looking over all entities for those that can be let go."""
        self._sweep = iter(list(self._rows))

    def sweep(self, dead: Callable[[S], bool], most: int) -> list[str]:
        """Look over up to ``most`` further entities; forget the dead ones and return their ids."""
        gone: list[str] = []
        for _ in range(most):
            key = next(self._sweep, None)
            if key is None:
                break
            row = self._rows.get(key)
            if row is None or key in self._dirty or key in self._raised:
                continue
            state = self._hot.get(key)
            if dead(state if state is not None else self._decode(row)):
                del self._rows[key]
                self._hot.pop(key, None)
                gone.append(key)
        return gone
