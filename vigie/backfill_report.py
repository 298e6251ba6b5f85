"""What became of a backfill: what was sent, what could not be used, what was not understood?"""

import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import orjson

from stream.engine.publisher import Publisher
from stream.sources.backfill import BackfillTally, FoundEvent, Reject
from stream.sources.files import SourceFileError
from vigie.common import console
from vigie.imported import Imported
from vigie.publish import progress_bar
from vigie.remote import Upload

_LISTED = 20
_EVERY = 2048


class BackfillReport:
    """Sends what is found, and keeps count."""

    def __init__(self, tally: BackfillTally, skip: int, source: str = "") -> None:
        self.tally = tally
        self.skip = skip
        self.source = source
        self.imported = Imported()
        self.types: Counter[str] = Counter()
        self.rejects: list[Reject] = []
        self.rejected = 0
        self.events = self.taken = self.failed = 0
        self.acknowledged = 0
        self.times: tuple[str, str] | None = None
        self.errors: list[str] = []
        self.stopped = ""
        self.publishing = False
        self.seconds = 0.0

    @property
    def code(self) -> int:
        """The exit code: 130 interrupted, 1 where something was not used or not acknowledged, or no deal is closed."""
        if self.stopped == "interrupted":
            return 130
        return 1 if self.stopped or self.rejected or self.failed or self.none_closed else 0

    @property
    def none_closed(self) -> bool:
        """Whether there are deals and none of them was ever won or lost: its words are then likely not understood."""
        return not (self.stopped or self.tally.left_out) and self.imported.none_closed

    def run(self, found: Iterator[FoundEvent | Reject], publisher: Publisher | Upload | None, file: IO[bytes] | None) -> None:
        """Take everything in; interrupted, wait for what is under way."""
        began, self.publishing = time.monotonic(), publisher is not None
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with progress_bar() as progress:
                task = progress.add_task("reading", total=None, rate="")
                self.tally.watch = lambda count: progress.update(task, completed=count, rate="rows and events")
                try:
                    for one in self._events(found):
                        self._take(one, publisher, file)
                        if self.taken % _EVERY == 0:
                            if publisher is not None:
                                publisher.poll()
                            rate = self.taken / max(time.monotonic() - began, 1e-3)
                            progress.update(task, description="publishing", completed=self.taken, rate=f"{rate:,.0f}/s")
                except SourceFileError as error:
                    self.stopped = str(error)
                except KeyboardInterrupt:
                    self.stopped = "interrupted"
                if publisher is not None:
                    left = publisher.flush()
                    self.acknowledged, self.failed = publisher.acknowledged, publisher.failed + left
                    self.errors = publisher.errors
        finally:
            signal.signal(signal.SIGTERM, before)
        self.seconds = time.monotonic() - began

    def _events(self, found: Iterator[FoundEvent | Reject]) -> Iterator[FoundEvent]:
        events = self._told(found)
        next(islice(events, self.skip, self.skip), None)
        return events

    def _told(self, found: Iterator[FoundEvent | Reject]) -> Iterator[FoundEvent]:
        for one in found:
            if isinstance(one, Reject):
                self.rejected += 1
                if len(self.rejects) < 1000:
                    self.rejects.append(one)
            else:
                self.events += 1
                self.imported.take(one.event)
                yield one

    def _take(self, one: FoundEvent, publisher: Publisher | Upload | None, file: IO[bytes] | None) -> None:
        event = one.event
        self.taken += 1
        self.types[event["type"]] += 1
        self.times = (self.times[0] if self.times else event["time"], event["time"])
        value = orjson.dumps(event)
        if publisher is not None:
            publisher.publish(value)
        elif file is not None:
            file.write(value + b"\n")

    def show(self, as_json: bool, files: list[Path]) -> None:
        """Say what became of it: messages on standard error, the report on standard output."""
        tally = self.tally
        for note in tally.notes:
            console.print(f"  note: {note}", markup=False)
        for reject in self.rejects[:_LISTED]:
            console.print(f"  {reject.file}:{reject.line}: {reject.reason}", style="red", markup=False)
        if self.rejected > _LISTED:
            console.print(f"  … and {self.rejected - _LISTED:,} more that could not be used", style="red")
        for error in self.errors:
            console.print(f"  {error}", style="red", markup=False)
        if self.stopped:
            console.print(f"vigie: {self.stopped}", style="red", markup=False)
            if self.publishing and not self.failed and self.taken and self.stopped == "interrupted":
                console.print(f"vigie: to go on: the same command with --skip {self.skip + self.taken}")
        counts = self.imported.counts()
        unmapped = {
            what: sum(n for (field, _), n in tally.unmapped.items() if (field == "stage") == (what == "deals")) for what in counts
        }
        for why, count in tally.ignored.most_common(_LISTED):
            console.print(f"  of no use: {count:,} × {why}", markup=False)
        for (what, word), count in tally.unmapped.most_common(_LISTED):
            meant = f"sources.{self.source}.{'stages' if what == 'stage' else 'lead_statuses'}"
            console.print(f"  unmapped: {count:,} × {what} {word!r}, of which nothing says what it is ({meant})", markup=False)
        if self.none_closed:
            deals = self.imported.created("deal")
            console.print(
                f"vigie: no deal of {deals:,} is won or lost. If some are, the names of their stages are not understood: "
                f"say which mean won and lost in sources.{self.source}.stages, or give the CRM's list of pipelines with --names",
                style="red",
                markup=False,
            )
        if as_json:
            told = {
                "files": [str(file) for file in files],
                "events": self.taken,
                "types": dict(sorted(self.types.items())),
                **{what: {**found, "unmapped": unmapped[what]} for what, found in counts.items()},
                "unmapped": [{"field": what, "word": word, "count": n} for (what, word), n in tally.unmapped.most_common()],
                "from": self.times[0] if self.times else None,
                "to": self.times[1] if self.times else None,
                "acknowledged": self.acknowledged,
                "failed": self.failed,
                "rejected": self.rejected,
                "rejects": [{"file": str(one.file), "line": one.line, "reason": one.reason} for one in self.rejects],
                "left_out": tally.left_out,
                "ignored": dict(tally.ignored.most_common()),
                "notes": list(tally.notes),
                "skipped": min(self.skip, self.events),
                "stopped": self.stopped or None,
            }
            sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
            return
        for kind, count in sorted(self.types.items()):
            print(f"{count:>10,}  {kind}")
        for line in self.imported.lines(unmapped):
            print(line)
        span = f", {self.times[0][:10]} to {self.times[1][:10]}" if self.times else ""
        print(
            f"{self.taken:,} events{span}: {self.acknowledged:,} acknowledged, {self.failed:,} not, {self.rejected:,} rejected, "
            f"{tally.left_out:,} left out (--before), {tally.ignored.total():,} of no use here, in {self.seconds:.1f} s"
        )
