"""Writes the dashboards, or says which differ: ``python -m vigie.grafana --write dashboards`` (or ``--check``)."""

import functools
import json
import sys
from pathlib import Path

from stream.config.kpi_files import load_catalogue
from vigie.grafana.boards import boards
from vigie.rule_files import load_rules


@functools.cache
def files() -> dict[str, str]:
    """Return the dashboards, by file name."""
    catalogue = load_catalogue()
    made = boards(catalogue, load_rules(catalogue))
    return {f"{board.uid.removeprefix('vigie-')}.json": json.dumps(board.tree(), indent=2) + "\n" for board in made}


def main(arguments: list[str]) -> int:
    """Run; the exit code is 1 where something differs."""
    if len(arguments) != 2 or arguments[0] not in ("--write", "--check"):
        print(f"found {' '.join(arguments)!r} (accepted: --write FOLDER, --check FOLDER)", file=sys.stderr)
        return 2
    folder, wrong = Path(arguments[1]), []
    for name, text in files().items():
        if arguments[0] == "--write":
            (folder / name).write_text(text, "utf-8")
        elif not (folder / name).is_file() or (folder / name).read_text("utf-8") != text:
            wrong.append(name)
    for name in wrong:
        print(f"{folder / name} is not what it would be (make docs)", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
