"""Which parts of River are used? Taken one by one, without what their packages bring along.

``river.drift`` and ``river.linear_model`` import all their siblings, and with these data sets, SciPy's statistics and, where it
is installed, scikit-learn: a second of CPU and 80 MB in each process that learns, and nothing of it is called. Here a package's
own module is left out while the parts are imported, and afterwards nothing is there in its stead: who imports the whole
package later gets it, and the same classes.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType

import scipy  # noqa: F401 - a part of it is put off below


@contextmanager
def _bare(*packages: str) -> Iterator[None]:
    """Let modules of packages be imported without the packages' own; those that are imported already stay as they are."""
    made: dict[str, ModuleType] = {}
    for name in packages:
        if name not in sys.modules and (spec := find_spec(name)) is not None:
            made[name] = sys.modules[name] = module_from_spec(spec)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


def _when_used(name: str) -> None:
    """Let a module be imported when something of it is asked for."""
    if name not in sys.modules and (spec := find_spec(name)) is not None and spec.loader is not None:
        package, _, part = name.rpartition(".")
        spec.loader = LazyLoader(spec.loader)
        sys.modules[name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
        setattr(sys.modules[package], part, module)  # found there, it is not looked at, which would be a use


_when_used("scipy.special")  # River's losses ask it for the softmax of many classes
with _bare("river.drift", "river.linear_model"):
    from river.drift.adwin import ADWIN
    from river.linear_model import base as _linear_base  # noqa: F401 - the next one takes it from the package
    from river.linear_model.log_reg import LogisticRegression
    from river.optim import AdaGrad

__all__ = ("ADWIN", "AdaGrad", "LogisticRegression")
