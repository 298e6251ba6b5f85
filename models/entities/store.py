"""Where does a partition keep its deals, leads, visitors and accounts, small when cold and quick when hot?

Every entity is one row of JSON. What was touched lately is also kept as an object; a restored partition holds bytes only, so
that a million deals come back without being decoded.
"""

from collections.abc import Callable, ItemsView, Iterator, Mapping
from typing import Generic, TypeVar

from models.events.refused import Reason, Refused

S = TypeVar("S")


def _size(row: tuple[str, bytes]) -> int:
    return len(row[1])


class Entities(Generic[S]):
    """The entities of one partition, by id."""

    __slots__ = ("_decode", "_dirty", "_encode", "_hot", "_limit", "_raised", "_rows", "_sweep", "_waiting", "raises", "sweeping")

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
        self.raises: Callable[[str, S], bool] | None = None
        self._waiting: list[str] = []  # entities that may be behind
        self._raised: dict[str, S] = {}  # brought up since the last `changes`
        self.sweeping = False  # whether a sweep has begun and not gone over all

    def __len__(self) -> int:
        return len(self._rows.keys() | self._dirty.keys())

    def get(self, key: str) -> S | None:
        """Return the entity, or None where it is not known."""
        state = self._hot.get(key)
        if state is None:
            row = self._rows.get(key)
            if row is None:
                return None
            state = self._decode(row)
            if self.raises is not None and self.raises(key, state):
                self._raised[key] = state
            self._hot[key] = state
        return state

    def peek(self, key: str) -> S | None:
        """Return the entity to look at, or None: it is not kept as an object, nor brought up to other definitions."""
        state = self._hot.get(key)
        if state is None and (row := self._rows.get(key)) is not None:
            return self._decode(row)
        return state

    def ids(self) -> list[str]:
        """Return the ids of all."""
        return list(self._rows.keys() | self._dirty.keys())

    def has(self, key: str) -> bool:
        """Whether the entity is known."""
        return key in self._hot or key in self._rows

    def put(self, key: str, state: S) -> None:
        """Keep the entity, which is new or has been changed in place."""
        self._hot[key] = state
        self._dirty[key] = state

    def back(self) -> None:
        """Forget all that was put, brought up, or changed in place, since the last :meth:`changes`."""
        self._dirty, self._raised, self._hot = {}, {}, {}

    def row(self, key: str) -> bytes | None:
        """Return the entity as it is, as a row; None where it is not known."""
        state = self._dirty.get(key)
        return self._rows.get(key) if state is None else self._encode(state)

    def put_back(self, key: str, row: bytes | None) -> None:
        """Have the entity be again what :meth:`row` gave, whatever was done to it since."""
        self._hot.pop(key, None)
        if row is None:
            self._dirty.pop(key, None)
        elif key in self._dirty:
            self.put(key, self._decode(row))

    @property
    def dirty(self) -> Mapping[str, S]:
        """The entities that were put since the last :meth:`changes`."""
        return self._dirty

    @property
    def rows(self) -> ItemsView[str, bytes]:
        """The rows as they were last written, by id."""
        return self._rows.items()

    def restore(self, key: str, row: bytes) -> None:
        """Take one row back."""
        self._rows[key] = row

    def changes(self, most: int | None = None) -> list[tuple[str, bytes]]:
        """Return the rows of all that was put since the last call; raise :class:`Refused` where one has more bytes than that."""
        encode = self._encode
        out = [(key, encode(state)) for key, state in self._dirty.items()]
        if most is not None and out:
            key, row = max(out, key=_size)
            if len(row) > most:
                raise Refused(Reason.TOO_LARGE, f"{key}: its log would have {len(row)} bytes, accepted are {most}")
        # What was only brought up has no fact more than it had.
        out += [(key, encode(state)) for key, state in self._raised.items() if key not in self._dirty]
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

    def raise_all(self, by: Callable[[str, S], bool]) -> None:
        """From now on bring every entity up with ``by`` before it is touched, and the others with :meth:`raise_some`."""
        self.raises = by
        self._waiting = sorted(self._rows, reverse=True)

    def raise_some(self, most: int, failed: Callable[[str, Exception], object]) -> None:
        """Bring up entities that nothing has touched, until ``most`` bytes of them have been looked at.

        Called when nothing is dirty. One that cannot be brought up stays as it was, and ``failed`` hears of it.
        """
        raises = self.raises
        while raises is not None and self._waiting and most > 0:
            key = self._waiting.pop()
            row = self._rows.get(key)
            if row is None or key in self._hot:  # gone, or brought up when it was touched
                continue
            most -= len(row)
            try:
                state = self._decode(row)
                if raises(key, state):
                    self._raised[key] = state
            except Exception as error:
                failed(key, error)
        if not self._waiting:
            self.raises = None

    def put_back_larger(self, most: int) -> list[str]:
        """Have what would be a larger row be again as it was at the last :meth:`changes`; return those entities."""
        found = [key for key, state in self._dirty.items() if len(self._encode(state)) > most]
        for key in found:
            self.put_back(key, self._rows.get(key))
        return found

    def begin_sweep(self) -> None:
        """Start looking over all entities for those that can be let go."""
        self._sweep = iter(list(self._rows))
        self.sweeping = True

    def sweep(
        self, dead: Callable[[S], bool], most: int, shrink: Callable[[S], bool] = lambda state: False
    ) -> list[tuple[str, S]]:
        """Look over up to ``most`` further entities; forget the dead ones and return them with their ids.

        ``shrink`` makes one that lives on smaller, and says whether it did. Those put since :meth:`changes` are left out.
        """
        gone: list[tuple[str, S]] = []
        for _ in range(most):
            key = next(self._sweep, None)
            if key is None:
                self.sweeping = False
                break
            row = self._rows.get(key)
            if row is None or key in self._dirty:
                continue
            state = self._hot.get(key)
            if state is None:
                state = self._decode(row)
            if dead(state):
                del self._rows[key]
                self._hot.pop(key, None)
                gone.append((key, state))
            elif shrink(state):
                self.put(key, state)
        return gone
