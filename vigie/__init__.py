"""The command line, and the only place that wires everything together.

To import it is to bring its rooms within reach: ``models``, ``alert_rules``, ``stream`` and ``agents`` are beside it in a
checkout, and in ``vigie/_rooms`` where it is installed, so that it takes none of these names from others (ADR 23).
"""

import importlib
import importlib.util
import sys
from pathlib import Path

_ROOMS = ("models", "alert_rules", "stream", "agents")


def _foreign(name: str, home: Path) -> str | None:
    """Return where a room's name would be imported from, if that is not ours."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return "nowhere"
    places = list(spec.submodule_search_locations or [spec.origin or "nowhere"])
    return None if Path(places[0]).resolve() == home / name else places[0]


def _open(here: Path) -> None:
    """Put the rooms first on the path if they are not found; raise ``ImportError`` where others have their names already."""
    home = here / "_rooms" if (here / "_rooms").is_dir() else here.parent
    if any(_foreign(name, home) for name in _ROOMS if name not in sys.modules):
        sys.path.insert(0, str(home))
        importlib.invalidate_caches()
    for name in _ROOMS:
        where = _foreign(name, home)
        if where is not None:
            raise ImportError(
                f"vigie: the module {name!r} of this process is {where}, not Vigie's own ({home / name}): it was imported before "
                "vigie. Import vigie first, or run it in a process of its own (the command vigie, or python -m vigie)"
            )


_open(Path(__file__).resolve().parent)
