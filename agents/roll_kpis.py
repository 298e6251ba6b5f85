"""What do all partitions say together? Connects the merged view of the panes, and the readings, to the engine."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from models.business import Business
from models.goals.standings import Standings
from models.kpis.catalogue import Catalogue
from models.kpis.roll_kpis import OBJECTIVES, Alarm, Name, RollKpis
from models.panes.view import View
from models.targets import Targets
from stream.engine.options import FoldSpec
from stream.engine.owned import Owned

NAME = "roll-kpis"
#: A lane of its own: a reading must not wait for the entity folds' checkpoint.
LANE = "readings"


class Roller:
    """The view that this process keeps, and the fold that feeds it where this worker owns the one partition of panes.

    Each assignment builds a view of its own aside, in the restoring thread. ``view.live`` says that it has been read to the
    end, which the driver says on the loop; whether it still is in our hands ``owned`` knows.
    """

    def __init__(
        self,
        business: Business,
        catalogue: Catalogue,
        wanted: Iterable[Name] = (),
        *,
        clock: Callable[[], int] | None = None,
        targets: Targets | None = None,
        partitions: int = 0,
        paced: bool = False,
        alarm: Alarm | None = None,
        plans: Standings | None = None,
    ) -> None:
        """``wanted`` names the readings to publish for the rules; ``clock`` is the engine's; ``targets`` are the quotas.

        ``partitions`` of entities are told what is usual of all deals (0: nobody watches single ones); ``paced``, ``alarm`` and
        ``plans`` as in :class:`~models.kpis.roll_kpis.RollKpis`.
        """
        self._business = business
        self.catalogue = catalogue
        self._clock = clock
        self._paced = paced
        self._alarm = alarm
        self._plans = plans or Standings(catalogue)
        self._wanted: frozenset[Name] = frozenset(wanted)
        self._targets = Targets() if targets is None else targets
        self._partitions = partitions
        self.owned: Owned[RollKpis] = Owned(NAME, lambda fold: fold.watch(self._wanted, self._targets))
        # Made at once, so that a rule about a KPI there is not stops the start, and not a rebalance.
        self._fold = self._made(0)

    @property
    def view(self) -> View:
        """The view of the last assignment; an earlier one's is let go of, so that there are never two in memory."""
        return self._fold.view

    @property
    def plans(self) -> Standings:
        """Tests, objectives and challenges as the last assignment knows them."""
        found = self._fold.plans
        assert isinstance(found, Standings)  # none is made without
        return found

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return self.owned.spec(
            self._make,
            topics=("panes", "highlights", OBJECTIVES) if self._alarm is not None else ("panes", OBJECTIVES),
            lane=LANE,
            replayed=True,
            doc="Merge the partial sums of all partitions, and publish the readings that rules wait for.",
        )

    def watch(self, wanted: Iterable[Name], targets: Targets | None = None) -> None:
        """Replace the set of readings to publish, and the quotas (rules and targets were reloaded)."""
        self._wanted, self._targets = frozenset(wanted), Targets() if targets is None else targets
        self.owned.brief()

    def declare(self, plans: Standings) -> None:
        """Take other tests, objectives and challenges; what was set over the API stays."""
        self._plans, self._fold.plans = plans, replace(plans, kept=self.plans.kept)

    @property
    def refused(self) -> int:
        """How many records of ``panes`` could not be used since the last assignment."""
        return self._fold.refused

    def _make(self, partition: int) -> RollKpis:
        self._fold = self._made(self._fold.view.version)
        return self._fold

    def _made(self, version: int) -> RollKpis:
        view = View(self._business)
        view.version = version  # it grows over assignments too: who compares must not take another view for the same
        return RollKpis(
            view,
            self.catalogue,
            self._wanted,
            clock=self._clock,
            targets=self._targets,
            partitions=self._partitions,
            paced=self._paced,
            alarm=self._alarm,
            plans=self._plans.anew(),
        )
