"""The core's own settings: what is accepted, and what is refused with a sentence."""

from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.errors import ConfigurationError
from clawdeploy.core.settings import (
    BIND_ADDRESS,
    CORE_SETTINGS,
    DATA_DIR,
    DATABASE_URL,
    DISABLED_PLUGINS,
    HOST,
    METRICS_SECRET,
    PORT,
    PORT_RANGE,
    PUBLIC_ORIGIN,
    RUNTIME,
    SECRET_KEYS,
    STRICT_PLUGINS,
    SYNC_SECRET,
    WAIT_SECONDS,
    browser_origin,
    default_data_folder,
)


def read(setting: Setting[Any], value: str) -> Any:
    return Config(CORE_SETTINGS, {setting.name: value})[setting]


@pytest.mark.parametrize(
    ("setting", "value", "read_as"),
    [
        (HOST, "0.0.0.0", "0.0.0.0"),
        (HOST, "::1", "::1"),
        (PORT, "1", 1),
        (PORT, "65535", 65535),
        (PORT, "08080", 8080),
        (DATA_DIR, "/srv/clawdeploy", Path("/srv/clawdeploy")),
        (DATABASE_URL, "sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        (DATABASE_URL, "postgres://u:p%40ss@h:5432/bots", "postgres://u:p%40ss@h:5432/bots"),
        (DATABASE_URL, "postgresql:///bots?host=/run/postgresql", "postgresql:///bots?host=/run/postgresql"),
        (PUBLIC_ORIGIN, "https://bots.example.org/", "https://bots.example.org"),
        (PUBLIC_ORIGIN, "https://bots.example.org:443", "https://bots.example.org"),
        (PUBLIC_ORIGIN, "http://bots.example.org:8080", "http://bots.example.org:8080"),
        (PUBLIC_ORIGIN, "HTTP://BOTS.example.org:80", "http://bots.example.org"),
        (PUBLIC_ORIGIN, "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        (RUNTIME, "docker", "docker"),
        (PORT_RANGE, "10000-20000", (10000, 20000)),
        (PORT_RANGE, "1024 - 1024", (1024, 1024)),
        (BIND_ADDRESS, "127.0.0.1", "127.0.0.1"),
        (WAIT_SECONDS, "0", 0),
        (SECRET_KEYS, "a, b,,c ", ("a", "b", "c")),
        (DISABLED_PLUGINS, "telegram", ("telegram",)),
        (STRICT_PLUGINS, "Yes", True),
        (STRICT_PLUGINS, "1", True),
        (STRICT_PLUGINS, "off", False),
    ],
)
def test_what_is_accepted(setting: Setting[Any], value: str, read_as: object) -> None:
    assert read(setting, value) == read_as


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (HOST, "localhost"),
        (HOST, "127.0.0.1:80"),
        (PORT, "0"),
        (PORT, "65536"),
        (PORT, "-1"),
        (PORT, "8080.0"),
        (PORT, "²"),
        (PORT, "00000000000099999999"),
        (WAIT_SECONDS, "000000000000999999"),
        (WAIT_SECONDS, "301"),
        (DATABASE_URL, "mysql://h/bots"),
        (DATABASE_URL, "bots.db"),
        (DATABASE_URL, "postgresql://host"),
        (DATABASE_URL, "postgresql://host/"),
        (DATABASE_URL, "sqlite:///"),
        (DATABASE_URL, "postgresql://u:p@h:port/bots"),
        (DATABASE_URL, "postgresql://u:p@h:99999/bots"),
        (DATABASE_URL, "postgresql://[::1/bots"),
        (PUBLIC_ORIGIN, "bots.example.org"),
        (PUBLIC_ORIGIN, "ftp://bots.example.org"),
        (PUBLIC_ORIGIN, "https://bots.example.org/path"),
        (PUBLIC_ORIGIN, "https://bots.example.org?x"),
        (PUBLIC_ORIGIN, "https://bots.example.org#x"),
        (PUBLIC_ORIGIN, "https://bots.example.org\\x"),
        (PUBLIC_ORIGIN, "https://bots.example.org;x"),
        (PUBLIC_ORIGIN, "https://bots example.org"),
        (PUBLIC_ORIGIN, "https://bots%2eexample.org"),
        (PUBLIC_ORIGIN, "https://*.example.org"),
        (PUBLIC_ORIGIN, "https://böts.example.org"),
        (PUBLIC_ORIGIN, "https://user:pass@bots.example.org"),
        (PUBLIC_ORIGIN, "https://bots.example.org:99999"),
        (PUBLIC_ORIGIN, "https://"),
        (PORT_RANGE, "10000"),
        (PORT_RANGE, "20000-10000"),
        (PORT_RANGE, "80-90"),
        (PORT_RANGE, "10000-70000"),
        (PORT_RANGE, "a-b"),
        (PORT_RANGE, "²000-³000"),
        (BIND_ADDRESS, "everywhere"),
        (STRICT_PLUGINS, "maybe"),
    ],
)
def test_what_is_refused_names_the_setting(setting: Setting[Any], value: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(setting, value)
    assert refused.value.detail.startswith(setting.name)
    assert "invalid literal" not in refused.value.detail


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2/x@h/bots",
        "postgresql://u:hun:ter2@h:hunter2/bots",
        "mysql://u:hunter2@h/bots",
        "postgresql://u:hunter2@[h/bots",
    ],
)
def test_a_malformed_database_url_shows_no_part_of_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(DATABASE_URL, url)
    assert "hunter2" not in refused.value.detail
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_database_url_has_the_usual_fallback() -> None:
    assert Config(CORE_SETTINGS, {"DATABASE_URL": "sqlite:////x.db"})[DATABASE_URL] == "sqlite:////x.db"


@pytest.mark.parametrize("setting", CORE_SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_explains_itself_in_sentences(setting: Setting[Any]) -> None:
    assert setting.name.startswith("CLAWDEPLOY_")
    assert setting.help.endswith(".")
    assert Config(CORE_SETTINGS, {})[setting] == setting.default


def test_what_holds_secrets_is_marked() -> None:
    secret = {DATABASE_URL, METRICS_SECRET, SYNC_SECRET, SECRET_KEYS}
    assert {setting for setting in CORE_SETTINGS if setting.secret} == secret


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"CLAWDEPLOY_PORT": "80"}, "http://127.0.0.1"),
        ({"CLAWDEPLOY_HOST": "0.0.0.0"}, "http://127.0.0.1:8080"),
        ({"CLAWDEPLOY_HOST": "::", "CLAWDEPLOY_PORT": "9000"}, "http://[::1]:9000"),
        ({"CLAWDEPLOY_HOST": "192.0.2.1"}, "http://192.0.2.1:8080"),
        ({"CLAWDEPLOY_PUBLIC_ORIGIN": "https://bots.example.org"}, "https://bots.example.org"),
    ],
)
def test_where_a_browser_reaches_the_server(environment: dict[str, str], expected: str) -> None:
    assert browser_origin(Config(CORE_SETTINGS, environment)) == expected


def test_a_checkout_keeps_its_data_beside_itself() -> None:
    checkout = Path(__file__).resolve().parents[2]
    assert default_data_folder() == checkout / "data"


@pytest.mark.parametrize("xdg", [True, False])
def test_an_installed_package_uses_the_users_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xdg: bool
) -> None:
    installed = tmp_path / "site-packages" / "clawdeploy" / "__init__.py"
    monkeypatch.setattr("clawdeploy.__file__", str(installed))
    monkeypatch.setenv("HOME", str(tmp_path))
    if xdg:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
        assert default_data_folder() == tmp_path / "xdg" / "clawdeploy"
    else:
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        assert default_data_folder() == tmp_path / ".local" / "share" / "clawdeploy"
