"""Settings are environment variables, known by name, and refused when they are not."""

import pytest

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.errors import ConfigurationError


def number(value: str) -> int:
    if not value.isdigit():
        raise ValueError("it must be a number")
    return int(value)


SIZE = Setting("CLAWDEPLOY_SIZE", number, 3, "How big.")
NAME: Setting[str] = Setting("CLAWDEPLOY_NAME", str, "nobody", "Who.", fallback="NAME")
TOKEN = Setting("CLAWDEPLOY_TOKEN", number, 0, "A secret.", secret=True)
ALL = (SIZE, NAME, TOKEN)


def test_defaults_hold_when_nobody_says() -> None:
    config = Config(ALL, {"PATH": "/bin", "SIZE": "9"})
    assert (config[SIZE], config[NAME], config[TOKEN]) == (3, "nobody", 0)


def test_values_are_read_and_parsed() -> None:
    config = Config(ALL, {"CLAWDEPLOY_SIZE": " 12 ", "CLAWDEPLOY_NAME": "ann"})
    assert (config[SIZE], config[NAME]) == (12, "ann")


@pytest.mark.parametrize("empty", ["", "   "])
def test_an_empty_value_is_as_good_as_none(empty: str) -> None:
    assert Config(ALL, {"CLAWDEPLOY_SIZE": empty})[SIZE] == 3


def test_a_fallback_is_read_when_the_first_is_not_set() -> None:
    assert Config(ALL, {"NAME": "bob"})[NAME] == "bob"
    assert Config(ALL, {"NAME": "bob", "CLAWDEPLOY_NAME": "ann"})[NAME] == "ann"
    assert Config(ALL, {"NAME": "bob", "CLAWDEPLOY_NAME": ""})[NAME] == "bob"


def test_an_unknown_name_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Config(ALL, {"CLAWDEPLOY_SISE": "3"})
    assert "CLAWDEPLOY_SISE is not a setting" in refused.value.detail
    assert "Did you mean CLAWDEPLOY_SIZE?" in refused.value.detail


def test_an_unknown_name_like_no_other_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Config(ALL, {"CLAWDEPLOY_QQQQQQQQQQQQQQQQQQ": ""})
    assert "Did you mean" not in refused.value.detail


def test_a_malformed_value_is_refused_with_name_value_and_reason() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Config(ALL, {"CLAWDEPLOY_SIZE": "big"})
    assert refused.value.detail == "CLAWDEPLOY_SIZE='big' is not usable: it must be a number"


def test_a_malformed_fallback_is_called_by_its_own_name() -> None:
    setting = Setting("CLAWDEPLOY_SIZE", number, 3, "", fallback="SIZE")
    with pytest.raises(ConfigurationError, match=r"^SIZE="):
        Config([setting], {"SIZE": "big"})


def test_a_malformed_secret_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Config(ALL, {"CLAWDEPLOY_TOKEN": "hunter2"})
    assert refused.value.detail == "CLAWDEPLOY_TOKEN is not usable: it must be a number"


def test_a_secret_is_not_shown_in_the_repr() -> None:
    shown = repr(Config(ALL, {"CLAWDEPLOY_TOKEN": "4711", "CLAWDEPLOY_SIZE": "8"}))
    assert "4711" not in shown
    assert "'CLAWDEPLOY_TOKEN': '***'" in shown
    assert "'CLAWDEPLOY_SIZE': 8" in shown


def test_settings_are_listed_by_name() -> None:
    assert Config(ALL, {}).settings() == [NAME, SIZE, TOKEN]
