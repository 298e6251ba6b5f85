"""Where the rooms go when Vigie is installed: below ``vigie``, so that one name is taken and no everyday one (ADR 23)."""

from setuptools import find_packages, setup

ROOMS = ("models", "alert_rules", "stream", "agents")
#: The pages that say what to do about an alert: every instance shows them (alert_rules/words/runbooks.py).
RUNBOOKS = "vigie._rooms.alert_rules.runbooks"

setup(
    packages=[
        *find_packages(include=["vigie", "vigie.*"]),
        *(f"vigie._rooms.{name}" for room in ROOMS for name in find_packages(include=[room, f"{room}.*"])),
        RUNBOOKS,
    ],
    package_dir={f"vigie._rooms.{room}": room for room in ROOMS} | {RUNBOOKS: "docs/runbooks"},
)
