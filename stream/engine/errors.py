"""Why can the engine not go on?

::

    EngineError
    └── EngineStopped     the engine ended; its ``__cause__`` or text says why
        ├── Fenced        the group went on without this worker: it does not own what it holds in memory any more
        │   └── Replaced  another worker runs with the same instance name
        ├── FoldFailed    a fold raised: a defect in it, since a fold answers for whatever the records hold
        └── TransactionFailed  a checkpoint can neither be written nor be proved unwritten
"""


class EngineError(Exception):
    """Base of all that the engine raises."""


class EngineStopped(EngineError):
    """The engine has stopped for a reason that a restart (which restores the state) puts right, or that needs a human."""


class Fenced(EngineStopped):
    """The broker refused a checkpoint: this worker's ownership is over. Nothing of the refused checkpoint is visible."""


class Replaced(Fenced):
    """A newer producer has this worker's transactional id: two workers run with the same instance name."""


class FoldFailed(EngineStopped):
    """A fold raised an exception while folding, ticking or encoding."""


class TransactionFailed(EngineStopped):
    """A checkpoint failed in a way that neither a retry nor an abort resolves."""
