"""Which rules, routes, targets, objectives, challenges and tests are in force while files change? The last good ones.

They are read anew on SIGHUP, and when a file they come from changes (looked at every two seconds). What cannot be used is
refused as a whole, with one list of all that is wrong: in the log, in ``/readyz`` and on the page, and in the metric
``vigie_rules_reload_success``. Everything else in the settings needs a restart.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stream.config.settings import Settings, SettingsError
from stream.engine.waiting import end
from vigie.rule_files import RulesError

if TYPE_CHECKING:  # a supervisor reads settings anew, and folds nothing
    from vigie.instance import Instance

log = logging.getLogger(__name__)

#: How often the files are looked at, seconds.
EVERY = 2.0
#: So many problems are reported in one line of /readyz and the page; the log has them all.
REPORTED = 3

Stamp = dict[str, tuple[int, int]]


class Again(NamedTuple):
    """How the settings are read anew, and their file, where there is one."""

    read: Callable[[], Settings]
    config: Path | None = None


class Reloader:
    """Reads the settings anew with ``read``; ``config`` is their file, where there is one."""

    def __init__(self, instance: "Instance", read: Callable[[], Settings], config: Path | None = None) -> None:
        self._instance = instance
        self._read = read
        self._config = config
        self._settings = instance.settings
        self.problems: list[str] = []  # of the last attempt
        self.at = instance.clock()  # when what is in force was read, epoch ms
        self._stamp = self._look()

    def reload(self) -> bool:
        """Read and use everything anew; return whether it could be used."""
        self._stamp = self._look()
        try:
            settings = self._read()
            self._settings = settings  # its folders are looked at from now on, sound or not
            self._stamp = self._look()
            rules = self._instance.reload(settings)
        except (SettingsError, RulesError) as error:
            self.problems = [str(problem) for problem in error.problems]
        except (ValueError, OSError) as error:
            self.problems = [str(error)]
        else:
            self.problems, self.at = [], self._instance.clock()
            log.info("%d rules, the routes and the targets have been read anew", len(rules))
            return True
        log.error(
            "rules, routes and targets stay as they were: %d problems:\n  %s", len(self.problems), "\n  ".join(self.problems)
        )
        return False

    def warnings(self) -> list[str]:
        """Return what an operator has to know, a line at most."""
        if not self.problems:
            return []
        more = f"; and {len(self.problems) - REPORTED} more" if len(self.problems) > REPORTED else ""
        return [f"rules: the last reload was refused, those before are in force: {'; '.join(self.problems[:REPORTED])}{more}"]

    def look(self) -> bool:
        """Read everything anew if a file has changed; return whether one had."""
        changed = self._look() != self._stamp
        if changed:
            self.reload()
        return changed

    def _look(self) -> Stamp:
        """Return what can be seen of the files from outside."""
        files = [path for path in (self._config, self._settings.alerting) if isinstance(path, Path)]
        for folder in self._settings.rule_folders:
            files += sorted(folder.glob("*.y*ml"))
        found: Stamp = {}
        for file in files:
            with contextlib.suppress(OSError):  # gone between two looks: the reading says so
                seen = file.stat()
                found[str(file)] = (seen.st_mtime_ns, seen.st_size)
        return found

    @contextlib.asynccontextmanager
    async def running(self, every: float = EVERY) -> AsyncIterator[None]:
        """Reload on SIGHUP and when files change, until the end of the block."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not on the main thread, or no such signal
            loop.add_signal_handler(signal.SIGHUP, self.reload)
        task = asyncio.create_task(self._watch(every), name="reload")
        try:
            yield
        finally:
            await end(task)
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(signal.SIGHUP)

    async def _watch(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            self.look()
