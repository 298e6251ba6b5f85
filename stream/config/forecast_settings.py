"""Which scenarios are told beside the forecast (``forecast``)?"""

from pydantic import field_validator

from models.foresight.scenario import Scenario, ScenarioError, parse
from stream.config.sections import Section

#: The forecast as it is expected has this name.
EXPECTED = "expected"


class ForecastSettings(Section):
    """Scenarios by name: ``{growth: "win_rate +10 %, arrivals -20 %"}``."""

    scenarios: dict[str, str] = {}

    @field_validator("scenarios")
    @classmethod
    def _known(cls, found: dict[str, str]) -> dict[str, str]:
        for name, text in found.items():
            if not name or len(name) > 100 or name == EXPECTED:
                raise ValueError(f"found {name!r} (accepted: a name of 1 to 100 characters other than {EXPECTED})")
            try:
                parse(text)
            except ScenarioError as error:
                raise ValueError(f"{name}: {error}") from None
        return found

    def scenario(self, name: str) -> Scenario | None:
        """Return a scenario by its name, None where there is none of it."""
        text = self.scenarios.get(name)
        return None if text is None else parse(text)
