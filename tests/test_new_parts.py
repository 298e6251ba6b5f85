"""Is a new part one file and one line? Some are added to a copy of the house, as CONTRIBUTING.md and docs/architecture.md say.

The kind of rule and the notifier are those of CONTRIBUTING.md, word for word.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

OLD_DEAL = '''
"""For how long has an open deal been there?"""

from alert_rules.kinds.entity_condition import EntityCondition, MeasuredEntity
from alert_rules.kinds.form import DURATION


class OldDeal(EntityCondition):
    KEY = "age"
    UNIT = "seconds"
    TITLE = "Old deal"
    EXAMPLE = "{over: 90d}"
    FORM = {"over": DURATION}
    THRESHOLD = "over"
    NUMBERS = {"days_open": "days"}

    def _measure(self, thresholds, state, limits, odds, now):
        age = (now - state.created) / 1000
        ahead = [state.created + int(t * 1000) + 1 for t in thresholds if age <= t]
        return MeasuredEntity(age, min(ahead, default=None), {"days_open": age / 86400})

    @classmethod
    def headline(cls, entity, words):
        return words.phrase("old_deal", "open for {days}", days=words.number(entity.get("days_open"), "days"))
'''
RULES = {
    "visits-thin.yaml": """
id: visits-thin
title: Few visits
kpi: sessions
window: day
share_of_usual: {below: 0.5, clear_above: 0.6}
summary: "{value:visit|visits}, {expected} were to be expected"
runbook: https://example.com/visits
tests:
  - name: half a day is missing
    timeline:
      - {at: 0d, value: 900, expected: 1000, expect: inactive}
      - {at: 1d, value: 400, expected: 1000, expect: warn, says: "Why: 40 % of what is usual (400, 1,000 expected) is below 50 %"}
      - {at: 2d, value: 700, expected: 1000, expect: inactive}
  - name: nobody knows what is usual
    timeline: [{at: 0d, value: 0, expected: null, expect: inactive}]
""",
    "deal-old.yaml": """
id: deal-old
entity: deal
age: {over: 90d}
summary: "{deal} is open for {days_open}"
runbook: https://example.com/old
tests:
  - name: it grows old
    timeline:
      - {at: 0d, set: {stage: demo}, expect: inactive}
      - {at: 91d, expect: warn, says: "D-1 is open for 91 d"}
  - name: it is won
    timeline:
      - {at: 0d, set: {stage: demo}, expect: inactive}
      - {at: 91d, set: {status: won}, expect: inactive}
""",
}
LINES = '''
"""One lead a line: its id, and when it was created."""

from stream.sources.files.base import FileEvent


def read(path, options):
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        id, at = line.split()
        event = {"specversion": "1.0", "id": id, "source": "lines", "type": "lead.created", "subject": id, "time": at, "data": {}}
        yield FileEvent(number, event)
'''
FAX = '''
"""What does a fax say? A lead."""

from collections.abc import Iterator

from stream.sources.crm.base import Adapter, Item, Request
from stream.sources.crm.values import event
from stream.sources.crm.settings import SourceSettings


class FaxSettings(SourceSettings):
    line: int = 1


def verify(request: Request, settings: FaxSettings) -> None:
    pass


def read(request: Request, settings: FaxSettings) -> Iterator[Item]:
    yield event(settings, "fax", "lead.created", f"fax-{settings.line}", request.received_at, "f1")


ADAPTER = Adapter("fax", verify, read, needs=(), settings=FaxSettings)
'''
KPI = """
leads_twice:
  label: {en: Leads twice, fr: Prospects deux fois}
  definition: {en: Twice the leads., fr: Deux fois les prospects.}
  stage: desire
  formula: leads + leads
  unit: count
  direction: up
  basis: [period, count]
  by: [owner]
"""
#: file of the house -> (what stands there, what is put in its place): the lines. All else that is new is a file.
REGISTERED = {
    "alert_rules/kinds/__init__.py": [
        ("= (Value, Change,", "= (ShareOfUsual, Value, Change,"),
        ("(Stalled,", "(OldDeal, Stalled,"),
        ("from alert_rules.kinds.absent", "from alert_rules.kinds.old_deal import OldDeal\nfrom alert_rules.kinds.absent"),
        (
            "from alert_rules.kinds.absent",
            "from alert_rules.kinds.share_of_usual import ShareOfUsual\nfrom alert_rules.kinds.absent",
        ),
    ],
    "agents/notifiers/__init__.py": [
        ("    ConsoleSettings,\n", "    ConsoleSettings,\n    PagerSettings,\n"),
        ("from agents.notifiers.slack", "from agents.notifiers.pager import PagerSettings\nfrom agents.notifiers.slack"),
    ],
    "stream/sources/files/__init__.py": [
        ('    "jsonl": jsonl.read,\n', '    "jsonl": jsonl.read,\n    "lines": lines.read,\n'),
        ("crm, jsonl,", "crm, jsonl, lines,"),
    ],
    "stream/sources/crm/__init__.py": [
        ("            attio.ADAPTER,\n", "            attio.ADAPTER,\n            fax.ADAPTER,\n"),
        ("attio, close, hubspot,", "attio, close, fax, hubspot,"),
    ],
}
ASKED = """
import json, sys
from pathlib import Path
from agents.notifiers import build
from alert_rules.parse.document import json_schema
from alert_rules.words.reader import LANGUAGES
from stream.sources.crm import Request, adapter_of, parse_settings
from stream.config.kpi_files import load_catalogue
from stream.config.settings import load
from stream.sources.files import read_file
from vigie.rule_files import check, run_tests

folder = Path(sys.argv[1])
catalogue = load_catalogue()
found = check(catalogue, [folder])
mine = [rule for rule in found.rules if rule.id in ("visits-thin", "deal-old")]
text = (folder / "visits-thin.yaml").read_text()
(folder / "visits-thin.yaml").write_text(text.replace("share_of_usual: {below: 0.5", "share_of_usual: {bellow: 0.5"))
schema = json_schema()
call = Request("POST", "", {}, b"", 0)
belt = {"name": "belt", "type": "pager", "url": "https://gateway.example.com/send", "token": "abc"}
print(json.dumps({
    "house": sys.modules["alert_rules"].__file__,
    "problems": list(map(str, found.problems)), "rules": [rule.title for rule in mine], "failed": list(map(str, run_tests(mine))),
    "wrong": list(map(str, check(catalogue, [folder]).problems)),
    "schema": [schema["else"]["properties"]["share_of_usual"]["properties"]["below"], "age" in schema["then"]["properties"]],
    "notifiers": {name: repr(one) for name, one in build(load(environ={}, receivers=[belt])).items()},
    "events": [item.event["subject"] for item in read_file(folder / "leads.txt", "lines")],
    "kpi": catalogue.kpis["leads_twice"].label["fr"],
    "languages": sorted(LANGUAGES),
    "leads": [item["subject"] for item in adapter_of("fax", {}).read(call, parse_settings("fax", {"line": 7}))],
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the house with the new parts answers."""
    home = tmp_path_factory.mktemp("new")
    house, folder = home / "house", home / "rules"
    for room in ("models", "alert_rules", "stream", "agents", "vigie"):
        shutil.copytree(ROOT / room, house / room)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
    (share,) = [block for block in blocks if "class ShareOfUsual" in block]
    (pager,) = [block for block in blocks if "class PagerSettings" in block]
    files = {
        "alert_rules/kinds/share_of_usual.py": share,
        "alert_rules/kinds/old_deal.py": OLD_DEAL,
        "agents/notifiers/pager.py": pager,
        "stream/sources/files/lines.py": LINES,
        "stream/sources/crm/fax.py": FAX,
        "alert_rules/words/languages/br.yaml": (ROOT / "alert_rules/words/languages/fr.yaml").read_text("utf-8"),
    }
    for name, text in files.items():
        (house / name).write_text(text, "utf-8")
    for name, changes in REGISTERED.items():
        text = (house / name).read_text("utf-8")
        for before, after in changes:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        (house / name).write_text(text, "utf-8")
    with (house / "models/kpis/catalogue.yaml").open("a", encoding="utf-8") as catalogue:
        catalogue.write(KPI)
    folder.mkdir()
    for name, rule in RULES.items():
        (folder / name).write_text(rule, "utf-8")
    (folder / "leads.txt").write_text("l1 2026-01-01T09:00:00Z\n", "utf-8")
    environ = os.environ | {"PYTHONPATH": str(house)}
    done = subprocess.run([sys.executable, "-c", ASKED, folder], cwd=home, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["house"].startswith(str(house))
    return answer


def test_a_kind_of_rule_is_one_file_and_one_line(found: dict[str, Any]) -> None:
    assert (found["problems"], found["failed"], found["rules"]) == ([], [], ["Old deal", "Few visits"])
    assert found["schema"] == [{"description": "half of it is 0.5", "type": "number"}, True]
    assert any('share_of_usual.bellow: unknown key "bellow" (did you mean "below"?)' in one for one in found["wrong"])


def test_so_are_a_notifier_a_file_format_an_adapter_and_a_kpi(found: dict[str, Any]) -> None:
    assert found["notifiers"] == {"belt": "PagerNotifier('belt')"}
    assert (found["events"], found["kpi"], found["leads"]) == (["l1"], "Prospects deux fois", ["fax-7"])


def test_a_language_is_a_file(found: dict[str, Any]) -> None:
    assert found["languages"] == ["br", "en", "fr"]
