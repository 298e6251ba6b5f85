"""The settings as every command reads them: with what only the parts know of their own, such as each kind of receiver."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.notifiers import problems_of_receivers
from stream.config import settings as _settings

__all__ = ["load"]


def load(path: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> _settings.Settings:
    """Return the settings (see :func:`stream.config.settings.load`); raise its ``SettingsError`` for what parts refuse, too."""
    return _settings.load(path, environ, checks={"receivers": problems_of_receivers}, **overrides)
