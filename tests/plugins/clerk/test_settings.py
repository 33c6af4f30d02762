"""What the settings of Clerk mean, and which of them stop start-up."""

import base64
from pathlib import Path

import pytest

from clawdeploy.core.errors import ConfigurationError, PluginError
from clawdeploy.plugins.clerk.publishable_key import publishable_key, why_not_public
from tests.plugins.clerk.frontend_api import Instance, new_key, public_pem
from tests.plugins.clerk.surroundings import given, platform_with, settings_of

CLERK = Instance()
TRIAL = Instance("brave-fox-12.clerk.accounts.dev", live=False)
HTTPS = {"CLAWDEPLOY_PUBLIC_ORIGIN": "https://bots.example.org"}


def key_of(text: str, kind: str = "live") -> str:
    return f"pk_{kind}_{base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("text", "live", "host"),
    [
        (CLERK.publishable_key, True, "clerk.example.org"),
        (TRIAL.publishable_key, False, "brave-fox-12.clerk.accounts.dev"),
        (CLERK.publishable_key.rstrip("="), True, "clerk.example.org"),
        (key_of("127.0.0.1:5555$", "test"), False, "127.0.0.1:5555"),
    ],
)
def test_a_publishable_key_tells_where_the_frontend_api_is(text: str, live: bool, host: str) -> None:
    key = publishable_key(text)
    assert (key.live, key.host, key.issuer) == (live, host, f"https://{host}")
    assert str(key) == text


@pytest.mark.parametrize(
    "text",
    [
        "clerk.example.org",
        "pk_live_",
        "pk_other_Y2xlcmsuZXhhbXBsZS5vcmck",
        "pk_live_Y2xlcmsuZXhhbXBsZS5vcmck_x",
        "pk_live_Y",
        "pk_live_////",
        key_of("clerk.example.org"),
        key_of("clerk.example.org$$"),
        key_of("clerk$example.org$"),
        key_of("clerk$"),
        key_of("$"),
        key_of("clerk.example.org/path$"),
        key_of("clerk.example.org?x$"),
        key_of("ann@clerk.example.org$"),
        key_of("clerk.example.org\n$"),
        key_of("clerk..org$"),
        key_of(".example.org$"),
        key_of("https://clerk.example.org$"),
        key_of("clerk.example.org:$"),
        key_of("clerk.exämple.org$"),
    ],
)
def test_a_damaged_publishable_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it (must|is|does)"):
        publishable_key(text)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("pk_live_ZmFrZS1jbGVyay10ZXN0LmNsZXJrLmFjY291bnRzLmRldiQ=", "qReyu04C"),
        ("pk_test_Y2xlcmsuY2xlcmsuZGV2JA", "QvfNY2dr"),
    ],
)
def test_the_suffix_of_cookies_is_that_of_clerks_own_libraries(text: str, suffix: str) -> None:
    assert publishable_key(text).suffix == suffix


def test_without_a_key_clerk_is_not_used() -> None:
    assert settings_of() is None


@pytest.mark.parametrize(
    "alone",
    [
        {"CLERK_AUTHORIZED_PARTIES": "https://bots.example.org"},
        {"CLERK_FRONTEND_API": "clerk.example.org"},
        {"CLERK_JWT_KEY": public_pem(CLERK.key)},
        {"CLERK_WEBHOOK_SIGNING_SECRET": "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="},
    ],
    ids=lambda alone: next(iter(alone)),
)
def test_half_of_the_settings_do_not_mean_local_sign_in(alone: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="CLERK_PUBLISHABLE_KEY is not"):
        settings_of(**alone)


def test_what_is_usual() -> None:
    settings = given(CLERK, **HTTPS)
    assert settings.frontend_api == "https://clerk.example.org"
    assert settings.origin == "https://bots.example.org"
    assert settings.parties == {"https://bots.example.org"}


def test_on_a_developers_machine_nearly_everything_goes() -> None:
    here = "http://127.0.0.1:8080"
    settings = given(TRIAL, CLERK_AUTHORIZED_PARTIES=here, CLERK_FRONTEND_API="http://127.0.0.1:9999")
    assert (settings.origin, settings.frontend_api) == (here, "http://127.0.0.1:9999")
    given(CLERK, CLERK_AUTHORIZED_PARTIES=here, CLAWDEPLOY_PUBLIC_ORIGIN=here)
    given(CLERK, CLERK_AUTHORIZED_PARTIES=here)


ODD_PARTIES = """
    * https://*.example.org null bots.example.org https://bots.example.org/ https://bots.example.org/app
    https://Bots.example.org https://bots.example.org:443 https://bots.example.org?x ftp://bots.example.org
    https://ann@bots.example.org https://bots.example.org#x https:// https://bots.example.org\\x https://böts.example.org
"""


@pytest.mark.parametrize("party", ODD_PARTIES.split())
def test_a_party_is_an_origin_as_browsers_write_it(party: str) -> None:
    for usual in ("", "https://bots.example.org,"):
        with pytest.raises(ConfigurationError, match="CLERK_AUTHORIZED_PARTIES"):
            given(CLERK, CLERK_AUTHORIZED_PARTIES=usual + party)


def test_there_has_to_be_a_party() -> None:
    with pytest.raises(ConfigurationError, match="CLERK_AUTHORIZED_PARTIES is empty"):
        given(CLERK, CLERK_AUTHORIZED_PARTIES=" , ")


@pytest.mark.parametrize(
    ("instance", "changes", "named"),
    [
        (CLERK, {"CLERK_FRONTEND_API": "http://127.0.0.1:9999"}, "CLERK_FRONTEND_API"),
        (CLERK, {"CLERK_FRONTEND_API": "clerk.other.example.org"}, "CLERK_FRONTEND_API"),
        (CLERK, {"CLERK_FRONTEND_API": "http://clerk.example.org"}, "CLERK_FRONTEND_API"),
        (TRIAL, {}, "pk_test_"),
        (TRIAL, {"CLERK_STAGING": "no"}, "pk_test_"),
        (CLERK, {"CLERK_AUTHORIZED_PARTIES": ""}, "CLERK_AUTHORIZED_PARTIES"),
        (CLERK, {"CLERK_AUTHORIZED_PARTIES": "https://bots.example.org,http://bots.example.org"}, "only https"),
        (CLERK, {"CLERK_AUTHORIZED_PARTIES": "https://admin.example.org"}, "must hold https://bots.example.org"),
        (CLERK, {"CLAWDEPLOY_PUBLIC_ORIGIN": "http://bots.example.org"}, "CLAWDEPLOY_PUBLIC_ORIGIN"),
        (Instance("192.0.2.7"), {}, "is an address"),
        (Instance("127.0.0.1"), {}, "is an address"),
        (Instance("192.0.2.7:8443"), {}, "is an address"),
        (Instance("127.1"), {}, "is an address"),
        (Instance("0x7f.0x1"), {}, "is an address"),
        (Instance("clerk.localhost"), {}, "is this machine"),
        (Instance("localhost.localdomain"), {}, "is this machine"),
    ],
)  # fmt: skip
def test_production_refuses(instance: Instance, changes: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        given(instance, **{**HTTPS, **changes})


@pytest.mark.parametrize("origin", ["http://127.example.org", "http://localhost.example.org", "http://192.0.2.7"])
def test_a_live_instance_is_for_https_or_for_this_machine(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="must begin with https://"):
        given(CLERK, CLAWDEPLOY_PUBLIC_ORIGIN=origin, CLERK_AUTHORIZED_PARTIES=origin)
    for here in ("http://127.0.0.2:8080", "http://[::1]:8080", "http://localhost:8080"):
        assert given(CLERK, CLAWDEPLOY_PUBLIC_ORIGIN=here, CLERK_AUTHORIZED_PARTIES=here)


@pytest.mark.parametrize("host", ["localhost", "clerk", "[::1]", "::1", "[2001:db8::1]:443", "localhost:80", "clerk."])
def test_hosts_that_no_key_can_name_are_not_public_either(host: str) -> None:
    assert why_not_public(host)


def test_production_takes_what_is_right() -> None:
    given(CLERK, **HTTPS, CLERK_FRONTEND_API="clerk.example.org")
    given(CLERK, **HTTPS, CLERK_AUTHORIZED_PARTIES="https://admin.example.org,https://bots.example.org")
    given(TRIAL, **HTTPS, CLERK_STAGING="yes")


@pytest.mark.parametrize(
    "written", [str, lambda pem: pem.replace("\n", "\\n"), lambda pem: pem.replace("\n", " "), lambda pem: f"\n{pem}\n"]
)
def test_a_key_in_pem_may_have_lost_its_lines(written: "type[str]") -> None:
    found = given(CLERK, CLERK_JWT_KEY=written(public_pem(CLERK.key))).jwt_key
    assert found is not None
    assert found.public_numbers() == CLERK.key.public_key().public_numbers()


@pytest.mark.parametrize(
    "text", ["x", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", public_pem(new_key(1024))]
)
def test_a_key_that_is_none_or_weak_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="CLERK_JWT_KEY"):
        given(CLERK, CLERK_JWT_KEY=text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CLERK_PUBLISHABLE_KEY", "sk_live_c2VjcmV0"),
        ("CLERK_JWT_KEY", "-----BEGIN PRIVATE KEY----- c2VjcmV0 -----END PRIVATE KEY-----"),
        ("CLERK_JWT_KEY", "-----BEGIN RSA PRIVATE KEY-----\\nc2VjcmV0"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is not usable: that is a (secret|private) key") as refused:
        given(CLERK, **{name: text})
    assert "c2VjcmV0" not in refused.value.detail


@pytest.mark.parametrize("text", ["hunter2", "whsec_", "whsec_!", "whsec_c2hvcnQ="])
def test_a_signing_secret_has_a_form_and_is_never_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="whsec_") as refused:
        given(CLERK, CLERK_WEBHOOK_SIGNING_SECRET=text)
    assert text == "whsec_" or text not in refused.value.detail


@pytest.mark.parametrize("text", ["", "6 onload=x", "../6", "6/7"])
def test_a_version_is_one_part_of_an_address(text: str) -> None:
    if text:
        with pytest.raises(ConfigurationError, match="CLERK_JS_VERSION"):
            given(CLERK, CLERK_JS_VERSION=text)
    else:
        assert given(CLERK, CLERK_JS_VERSION=text).js_version == "6"


def test_what_cannot_be_stops_start_up(tmp_path: Path) -> None:
    environment = {"CLERK_PUBLISHABLE_KEY": TRIAL.publishable_key, "CLERK_AUTHORIZED_PARTIES": TRIAL.origin}
    with (
        pytest.raises(PluginError, match="pk_test_"),
        platform_with(tmp_path, environment, PUBLIC_ORIGIN=TRIAL.origin),
    ):
        pass
