"""Are settings read whole, with every problem named at once, and no secret shown?"""

from fractions import Fraction
from pathlib import Path

import pytest

from models.money import UnknownRate
from stream.config.settings import Settings, SettingsError, load, parse_duration

ROOT = Path(__file__).parents[2]


def test_the_example_shows_every_section_with_its_default() -> None:
    example = load(ROOT / "vigie.example.yaml", environ={})
    assert example.model_dump(exclude={"instance"}) == Settings().model_dump(exclude={"instance"})
    text = (ROOT / "vigie.example.yaml").read_text()
    for name in (field.alias or name for name, field in Settings.model_fields.items()):
        assert f"{name}:" in text or name == "data_dir" or name == "sources", f"{name} is not in vigie.example.yaml"


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("250ms", 250), ("30s", 30_000), ("1.5h", 5_400_000), ("2w", 1_209_600_000), (" 3 d ", 259_200_000)],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


def test_every_problem_is_reported_at_once_with_its_path() -> None:
    environ = {
        "VIGIE_WEB__PORT": "eighty",
        "VIGIE_BUSINESS__TIMEZONE": "Mars/Olympus",
        "VIGIE_CHECKPOINT_INTERVAL": "3 bananas",
        "VIGIE_KAFKA__BROKER": "typo:9092",
    }
    with pytest.raises(SettingsError) as error:
        load(environ=environ)
    text = str(error.value)
    for part in ("web.port", "valid integer", "business: timezone", "checkpoint_interval", "1h30m", 'did you mean "brokers"'):
        assert part in text
    assert len(error.value.problems) == 4


def test_environment_wins_over_the_file_and_files_hold_secrets(tmp_path: Path) -> None:
    config, secret = tmp_path / "v.yaml", tmp_path / "password"
    config.write_text("web: {port: 1000}\nkafka: {brokers: 'a:1'}\n")
    secret.write_text("s3cret\n")
    environ = {"VIGIE_WEB__PORT": "2000", "VIGIE_KAFKA__SASL_PASSWORD_FILE": str(secret), "VIGIE_KPI_FILES": "[a.yaml]"}
    settings = load(config, environ)
    assert (settings.web.port, settings.kafka.brokers, settings.kpi_files) == (2000, "a:1", [Path("a.yaml")])
    assert settings.kafka.sasl_password.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)


def test_a_secret_is_not_echoed_in_an_error() -> None:
    with pytest.raises(SettingsError) as error:
        load(environ={"VIGIE_REDIS__URL": "[hunter2]"})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("text", ["- a list", "{broken", "web: 3"])
def test_a_file_that_is_no_mapping_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    config = tmp_path / "v.yaml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=r"v\.yaml"):
        load(config, {})


def test_rates_hold_from_their_day_on_and_an_unknown_one_is_refused() -> None:
    rates = "{USD: [{from: 2026-01-01, rate: 0.92}, {from: 2026-07-01, rate: 0.9}], GBP: 1.17}"
    business = load(environ={"VIGIE_BUSINESS__RATES": rates}).business.business()
    january, july = 1_767_225_600_000, 1_782_864_000_000
    assert business.rates.convert(10_000, "USD", july - 1) == 9_200
    assert business.rates.convert(10_000, "USD", july) == 9_000
    assert business.rates.convert(10_000, "USD", january - 1) == 9_200
    assert business.rates.convert(3, "GBP", 0) == round(3 * Fraction("1.17"))
    with pytest.raises(UnknownRate):
        business.rates.convert(1, "CHF", 0)


def test_the_addresses_of_deals_and_leads() -> None:
    known = Settings.model_validate({"crm_urls": {"crm/hubspot": {"deal": "https://crm.example/deal/{id}"}}})

    assert known.crm_url("deal", "a/b c", "crm/hubspot") == "https://crm.example/deal/a%2Fb%20c"
    assert known.crm_url("lead", "1", "crm/hubspot") is None
    assert known.crm_url("deal", "1", "crm/other") is None
    with pytest.raises(SettingsError, match=r"an address with \{id\} in it"):
        load(environ={"VIGIE_CRM_URLS": "{crm/hubspot: {deal: https://crm.example/}}"})
