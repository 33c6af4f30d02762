"""What comes in is checked field by field; what goes out never shows a secret."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from clawdeploy.core.answers import dump_instance
from clawdeploy.core.catalog import Catalog
from clawdeploy.core.contracts import Channel, CredentialField, Instance, Operation, Secret, Status, Wish
from clawdeploy.core.errors import InvalidInput
from clawdeploy.core.schemas import Schemas
from clawdeploy.plugins.discord import Discord
from clawdeploy.plugins.standin import StandIn
from clawdeploy.plugins.telegram import Telegram
from clawdeploy.plugins.whatsapp import WhatsApp
from tests.core.surroundings import TELEGRAM_TOKEN
from tests.platforms import GOOD

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER = NOW.replace(minute=5)
NAUGHTY = ["\x00", "a\nb", "a\tb", "\x1b[31mred", "\u202egnp", "\x7f", "\ud800", "a\u2028b",
           "a\u2029b", "a\u2066b", "\ue000", "\uffff"]  # fmt: skip


class Slack:
    """A channel with two credentials, as a third party would write it."""

    name = "slack"
    label = "Slack"
    help = "Two tokens."
    credential_fields: tuple[CredentialField, ...] = (
        CredentialField("botToken", "Bot token", "It begins with xoxb-.", "SLACK_BOT_TOKEN"),
        CredentialField("appToken", "App token", "It begins with xapp-.", "SLACK_APP_TOKEN"),
    )
    bot_config: Mapping[str, object] = {}

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        if "raise" in credentials.values():
            raise ValueError(credentials)
        return {} if credentials.get("appToken", "xapp-").startswith("xapp-") else {"appToken": "Not an app token."}


@pytest.fixture
def schemas() -> Schemas:
    members: list[Channel] = [Telegram(), Discord(), WhatsApp(), Slack()]
    channels = {channel.name: channel for channel in members}
    return Schemas(Catalog({"standin": StandIn("nginx:alpine")}, channels, "standin"))


def an_instance(**values: Any) -> Instance:
    known: dict[str, Any] = {field.name: None for field in fields(Instance)}
    known.update(
        id="abc", owner="ann", name="bot", model="gpt-5.2", channel="telegram", blueprint="standin", wish=Wish.RUN,
        status=Status.RUNNING, reason="", detail="", status_since=NOW, status_as_of=LATER,
        secrets_set=frozenset(), config={}, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    return Instance(**{**known, **values})


def refused(schemas: Schemas, body: Mapping[str, Any], instance: Instance | None = None) -> dict[str, list[str]]:
    with pytest.raises(InvalidInput) as caught:
        _ = schemas.changes(body, instance) if instance else schemas.new_instance(body)
    assert all(isinstance(said, str) and said for sentences in caught.value.errors.values() for said in sentences)
    return caught.value.errors


# -- a new instance --------------------------------------------------------------------------------------------------


def test_the_least_there_can_be(schemas: Schemas) -> None:
    new = schemas.new_instance(GOOD)
    assert new.columns == {"name": "test", "model": "gpt-5.2", "channel": "telegram", "blueprint": "standin"}
    assert new.secrets == {}


@pytest.mark.parametrize("missing", ["name", "model", "channel"])
def test_what_is_required(schemas: Schemas, missing: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != missing}
    assert refused(schemas, body) == {missing: ["It is required."]}


def test_everything_wrong_is_told_at_once(schemas: Schemas) -> None:
    errors = refused(schemas, {"name": "", "model": "gpt-2", "channel": 7, "apiKey": " ", "status": "running"})
    assert set(errors) == {"name", "model", "channel", "apiKey", "status"}
    assert errors["status"] == ["It is not a field that can be set here."]


@pytest.mark.parametrize("model", ["claude-opus-4.5", "gpt-5.2", "gemini-3-flash"])
@pytest.mark.parametrize("channel", ["telegram", "discord", "whatsapp", "slack"])
def test_every_model_and_channel_that_is_offered(schemas: Schemas, model: str, channel: str) -> None:
    assert schemas.new_instance({"name": "x", "model": model, "channel": channel}).columns["model"] == model


@pytest.mark.parametrize("field", ["name", "model", "channel", "blueprint"])
@pytest.mark.parametrize("value", [None, 7, 1.5, True, [], {}, ["gpt-5.2"], "", "GPT-5.2", " gpt-5.2\x00", "\ud800"])
def test_bad_values_of_the_choices_and_the_name(schemas: Schemas, field: str, value: Any) -> None:
    if field == "name" and value == "GPT-5.2":
        return
    assert set(refused(schemas, {**GOOD, field: value})) == {field}


@pytest.mark.parametrize("value", [7, True, [], {}, "x" * 101, *NAUGHTY])
@pytest.mark.parametrize("field", ["region", "instanceType", "ipAddress"])
def test_bad_values_of_the_optional_texts(schemas: Schemas, field: str, value: Any) -> None:
    assert set(refused(schemas, {**GOOD, field: value})) == {field}


@pytest.mark.parametrize("value", [None, "", "  eu-west  ", "x" * 100, "Zürich"])
def test_good_values_of_the_optional_texts(schemas: Schemas, value: str | None) -> None:
    columns = schemas.new_instance({**GOOD, "region": value, "instanceType": value, "ipAddress": value}).columns
    expected = value.strip() if value else value
    assert (columns["region"], columns["instance_type"], columns["ip_address"]) == (expected,) * 3


@pytest.mark.parametrize(
    "field", ["id", "userId", "status", "containerId", "createdAt", "updatedAt", "port", "url", "wish", "owner",
              "host_port", "bot_token", "api_key", "instance_type", "__class__", "field" * 1000, "\x00", ""],
)  # fmt: skip
def test_unknown_fields_are_refused(schemas: Schemas, field: str) -> None:
    assert refused(schemas, {**GOOD, field: "x"}) == {field[:100]: ["It is not a field that can be set here."]}


@pytest.mark.parametrize("body", [{}, {"name": None}])
def test_an_empty_body_is_refused(schemas: Schemas, body: dict[str, Any]) -> None:
    assert {"name", "model", "channel"} <= set(refused(schemas, body))


# -- limits that hold for a create and for a change ------------------------------------------------------------------

BAD_SECRETS: list[Any] = ["***", " *** ", "", "  ", "x" * 4097, "a b", "a\nb", "ключ", 7, True, [], {}, *NAUGHTY[:5]]
BAD: dict[str, list[Any]] = {
    "name": [None, "", "   ", "x" * 101, 7, True, [], {}, "\u200d", "\u2800\u3164", "\ufe0f", *NAUGHTY],
    "botToken": BAD_SECRETS,
    "apiKey": BAD_SECRETS,
    "config": [
        None, [], "{}", 7, True, {"big": "x" * 16_400}, {"ü": "ü" * 8200}, {"x": float("nan")}, {"x": float("inf")},
        {"x": "\ud800"}, {"x": {1}}, {"x": 10**5000},
    ],
    "credentials": [[], "x", 7, True],
    "unknown": [None, "x", {}],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
def test_limits_are_the_same_on_create_and_on_change(schemas: Schemas, field: str, value: Any) -> None:
    assert set(refused(schemas, {**GOOD, field: value})) == {field}
    assert set(refused(schemas, {field: value}, an_instance())) == {field}


def test_a_config_that_is_nested_without_end_is_refused(schemas: Schemas) -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert set(refused(schemas, {**GOOD, "config": {"deep": deep}})) == {"config"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x"), ("name", "x" * 100), ("name", "  padded  "), ("name", "Ännchen 🙂 <b>&amp;"),
        ("name", "👨\u200d👩\u200d👧"), ("name", "می\u200cروم"), ("name", "❤\ufe0f"),
        ("name", "a\u00adb\u00a0c"), ("name", "क्\u200dष"),
        ("apiKey", "x"), ("apiKey", "x" * 4096), ("apiKey", "  sk-1\n"), ("apiKey", "****"), ("apiKey", None),
        ("botToken", TELEGRAM_TOKEN), ("botToken", None),
        ("config", {}), ("config", {"x": "x" * 16_000}), ("config", {"": [None, 1, {"y": 1.5}]}),
        ("credentials", {}), ("credentials", None), ("credentials", {"botToken": TELEGRAM_TOKEN}),
    ],
)  # fmt: skip
def test_what_is_accepted_on_create_is_accepted_on_change(schemas: Schemas, field: str, value: Any) -> None:
    new = schemas.new_instance({**GOOD, field: value})
    changes = schemas.changes({field: value}, an_instance())
    assert changes.wished_status is None
    assert {name: secret for name, secret in changes.secrets.items() if secret} == new.secrets
    for column, changed in changes.columns.items():
        assert new.columns[column] == changed


def test_texts_are_trimmed(schemas: Schemas) -> None:
    new = schemas.new_instance({**GOOD, "name": "  bot ", "apiKey": " sk-1\n"})
    assert (new.columns["name"], new.secrets) == ("bot", {"apiKey": Secret("sk-1")})


def test_credentials_are_trimmed_like_a_secret_that_stands_alone(schemas: Schemas) -> None:
    bot = an_instance(channel="slack")
    assert schemas.changes({"credentials": {"appToken": " xapp-1\n"}}, bot).secrets == {"appToken": Secret("xapp-1")}


def test_the_mask_is_refused_with_a_hint(schemas: Schemas) -> None:
    (said,) = refused(schemas, {"apiKey": "***"}, an_instance())["apiKey"]
    assert "Leave the field out to keep it" in said


# -- credentials -----------------------------------------------------------------------------------------------------


def test_a_channel_of_a_third_party_gets_its_credentials(schemas: Schemas) -> None:
    body = {**GOOD, "channel": "slack", "botToken": "xoxb-1", "credentials": {"appToken": "xapp-1"}, "apiKey": "sk"}
    assert schemas.new_instance(body).secrets == {
        "botToken": Secret("xoxb-1"), "appToken": Secret("xapp-1"), "apiKey": Secret("sk"),
    }  # fmt: skip
    one = schemas.changes({"credentials": {"appToken": "xapp-2"}}, an_instance(channel="slack"))
    assert one.secrets == {"appToken": Secret("xapp-2")}


def test_the_channel_looks_at_the_form(schemas: Schemas) -> None:
    body = {**GOOD, "channel": "slack", "credentials": {"appToken": "xoxb-1"}}
    assert refused(schemas, body) == {"appToken": ["Not an app token."]}
    assert refused(schemas, {"botToken": "123"}, an_instance())["botToken"][0].startswith("This is only the number")


@pytest.mark.parametrize("value", [7, True, [], {}, "", " ", "a b", "***", "x" * 4097, "\x00", "\ud800"])
def test_bad_credentials(schemas: Schemas, value: Any) -> None:
    body = {**GOOD, "channel": "slack", "credentials": {"appToken": value}}
    assert set(refused(schemas, body)) == {"appToken"}
    assert set(refused(schemas, {"credentials": {"appToken": value}}, an_instance(channel="slack"))) == {"appToken"}


@pytest.mark.parametrize("field", ["nonsense", "\x00", "apiKey", "\ud800", "password"])
@pytest.mark.parametrize("value", ["x", None])
def test_credentials_that_the_channel_does_not_have(schemas: Schemas, field: str, value: str | None) -> None:
    stored = an_instance(secrets_set=frozenset({"apiKey"}))
    assert set(refused(schemas, {**GOOD, "credentials": {field: value}})) == {field}
    assert set(refused(schemas, {"credentials": {field: value}}, stored)) == {field}


def test_a_channel_without_credentials_wants_none(schemas: Schemas) -> None:
    body = {**GOOD, "channel": "whatsapp"}
    assert refused(schemas, {**body, "botToken": "x"}) == {
        "botToken": ["WhatsApp has no such credential; leave it out."]
    }
    assert schemas.new_instance({**body, "botToken": None}).secrets == {}


def test_one_credential_in_two_places_is_refused(schemas: Schemas) -> None:
    body = {**GOOD, "botToken": TELEGRAM_TOKEN, "credentials": {"botToken": TELEGRAM_TOKEN}}
    assert refused(schemas, body) == {"botToken": ["It is given twice. Leave it out of the credentials."]}


def test_null_removes_what_is_stored_and_nothing_else(schemas: Schemas) -> None:
    instance = an_instance(channel="slack", secrets_set=frozenset({"botToken", "apiKey"}))
    changes = schemas.changes({"botToken": None, "apiKey": None, "credentials": {"appToken": None}}, instance)
    assert changes.secrets == {"botToken": None, "apiKey": None}


def test_what_a_channel_that_is_gone_left_can_be_removed(schemas: Schemas) -> None:
    instance = an_instance(channel="fax", secrets_set=frozenset({"faxToken", "botToken"}))
    body = {"botToken": None, "credentials": {"faxToken": None}}
    assert schemas.changes(body, instance).secrets == {"botToken": None, "faxToken": None}
    assert refused(schemas, {"botToken": "x"}, instance) == {
        "botToken": ["This channel has no such credential; leave it out."]
    }


def test_a_channel_that_fails_to_look_accepts_and_is_logged_without_the_secret(
    schemas: Schemas, caplog: pytest.LogCaptureFixture
) -> None:
    body = {**GOOD, "channel": "slack", "botToken": "raise", "credentials": {"appToken": "s3cret"}}
    assert set(schemas.new_instance(body).secrets) == {"botToken", "appToken"}
    assert "Channel slack failed" in caplog.text
    assert "s3cret" not in caplog.text


# -- status ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["running", "stopped"])
def test_a_status_that_can_be_wished(schemas: Schemas, status: str) -> None:
    assert schemas.changes({"status": status}, an_instance()).wished_status == status


@pytest.mark.parametrize("status", ["pending", "creating", "error", "deleted"])
def test_an_observed_status_is_refused_and_says_so(schemas: Schemas, status: str) -> None:
    assert refused(schemas, {"status": status}, an_instance()) == {
        "status": [f'"{status}" is observed, never set. Only "running" and "stopped" can be asked for.']
    }


@pytest.mark.parametrize("status", [None, "", "RUNNING", " running", "restart", 1, True, ["running"], {}, "\x00"])
def test_any_other_status_is_refused(schemas: Schemas, status: Any) -> None:
    assert set(refused(schemas, {"status": status}, an_instance())) == {"status"}


@pytest.mark.parametrize("field", ["model", "channel", "blueprint", "region", "instanceType", "ipAddress", "id"])
def test_what_cannot_be_changed(schemas: Schemas, field: str) -> None:
    assert refused(schemas, {field: "telegram"}, an_instance()) == {field: ["It is not a field that can be set here."]}


# -- what goes out ---------------------------------------------------------------------------------------------------


def test_an_instance_as_json() -> None:
    instance = an_instance(
        status=Status.ERROR, reason="crashed", detail="It ended.", operation=Operation.START, container_id="c",
        host_port=10000, secrets_set=frozenset({"botToken", "appToken"}), config={"a": 1},
    )  # fmt: skip
    assert dump_instance(instance, "http://127.0.0.1:10000/") == {
        "id": "abc", "userId": "ann", "name": "bot", "model": "gpt-5.2", "channel": "telegram",
        "blueprint": "standin", "status": "error", "statusReason": "crashed", "statusDetail": "It ended.",
        "statusSince": "2026-01-02T03:04:05.678Z", "statusAsOf": "2026-01-02T03:05:05.678Z", "operation": "start",
        "botToken": "***", "apiKey": None, "credentials": {"appToken": "***"}, "containerId": "c", "port": 10000,
        "url": "http://127.0.0.1:10000/", "config": {"a": 1}, "region": None, "instanceType": None, "ipAddress": None,
        "createdAt": "2026-01-02T03:04:05.678Z", "updatedAt": "2026-01-02T03:04:05.678Z",
    }  # fmt: skip


def test_everything_that_is_wrong_is_said_at_once(schemas: Schemas) -> None:
    body = {"name": " ", "model": "gpt-1", "channel": "telegram", "credentials": {"botToken": "123"}, "apiKey": "a b"}
    assert set(refused(schemas, body)) == {"name", "model", "botToken", "apiKey"}
    assert set(refused(schemas, {"name": "", "botToken": "123", "more": 1}, an_instance())) == {
        "name", "botToken", "more",
    }  # fmt: skip


def test_a_wrong_channel_says_nothing_about_credentials(schemas: Schemas) -> None:
    assert set(refused(schemas, {**GOOD, "channel": "pigeon", "credentials": {"botToken": "123"}})) == {"channel"}
