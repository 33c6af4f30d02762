"""Which tokens the channels refuse, and what they say about them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdeploy.core.contracts import Channel
from clawdeploy.core.errors import InvalidInput
from clawdeploy.core.platform import Platform
from clawdeploy.plugins.discord import Discord
from clawdeploy.plugins.telegram import Telegram
from clawdeploy.plugins.whatsapp import WhatsApp
from tests.platforms import GOOD, memory_platform

TELEGRAM_TOKEN = "123456789:AAH3xyzABCdefGHIjklMNOpqrSTUvwx_-12"
DISCORD_TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
LONG_DISCORD_TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.GaBcDe.abcdefghijklmnopqrstuvwxyz-_0123456789AB"


@pytest.mark.parametrize("channel", [Telegram(), Discord(), WhatsApp()])
def test_credentials_may_come_later(channel: Channel) -> None:
    assert channel.check({}) == {}


@pytest.mark.parametrize("channel", [Telegram(), Discord(), WhatsApp()])
def test_the_bots_configuration_is_json_and_pairs_with_strangers(channel: Channel) -> None:
    assert json.loads(json.dumps(channel.bot_config))["dmPolicy"] == "pairing"


def test_what_the_form_shows() -> None:
    telegram, discord = Telegram().credential_fields[0], Discord().credential_fields[0]
    assert (telegram.name, telegram.variable) == ("botToken", "TELEGRAM_BOT_TOKEN")
    assert (discord.name, discord.variable) == ("botToken", "DISCORD_BOT_TOKEN")
    assert "@BotFather" in telegram.help
    assert "Reset Token" in discord.help
    assert "not the application id" in discord.help
    assert WhatsApp().credential_fields == ()
    assert "scanning" in WhatsApp().help


@pytest.mark.parametrize("token", [TELEGRAM_TOKEN, "1:" + "a" * 30, "9" * 12 + ":" + "Z" * 60])
def test_telegram_tokens(token: str) -> None:
    assert Telegram().check({"botToken": token}) == {}


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (f" {TELEGRAM_TOKEN}", "a space or a line break"),
        (f"{TELEGRAM_TOKEN}\n", "a space or a line break"),
        ("Use this token:\n" + TELEGRAM_TOKEN, "a space or a line break"),
        ("123456789", "only the number"),
        ("@my_openclaw_bot", "the bot's name"),
        (f"bot{TELEGRAM_TOKEN}", "Leave out"),
        (TELEGRAM_TOKEN[:25], "ends too early"),
        ("123456789:", "ends too early"),
        ("", "not a Telegram bot token"),
        ("my token".replace(" ", "-"), "not a Telegram bot token"),
        (DISCORD_TOKEN, "not a Telegram bot token"),
        (TELEGRAM_TOKEN + "é", "not a Telegram bot token"),
        ("\u0661\u0662\u0663:" + "a" * 35, "not a Telegram bot token"),
    ],
)
def test_what_is_no_telegram_token(token: str, said: str) -> None:
    complaints = Telegram().check({"botToken": token})
    assert list(complaints) == ["botToken"]
    assert said in complaints["botToken"]
    assert not token or token not in complaints["botToken"]


@pytest.mark.parametrize("token", [DISCORD_TOKEN, LONG_DISCORD_TOKEN])
def test_discord_tokens(token: str) -> None:
    assert Discord().check({"botToken": token}) == {}


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("123456789012345678", "the application id"),
        (f"Bot {DISCORD_TOKEN}", "Leave out"),
        (f"bot {DISCORD_TOKEN}", "Leave out"),
        (f"{DISCORD_TOKEN}\n", "a space or a line break"),
        (DISCORD_TOKEN.replace(".", " ", 1), "a space or a line break"),
        ("0123456789abcdef" * 4, "public key"),
        ("aBcDeFgHiJkLmNoPqRsTuVwXyZ012345", "client secret"),
        (DISCORD_TOKEN[:40], "not a whole Discord bot token"),
        (TELEGRAM_TOKEN, "not a whole Discord bot token"),
        ("", "not a whole Discord bot token"),
    ],
)
def test_what_is_no_discord_token(token: str, said: str) -> None:
    complaints = Discord().check({"botToken": token})
    assert list(complaints) == ["botToken"]
    assert said in complaints["botToken"]
    assert not token or token not in complaints["botToken"]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    opened = memory_platform(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("channel", "token", "said"),
    [
        ("telegram", DISCORD_TOKEN, "not a Telegram bot token"),
        ("discord", "123456789012345678", "the application id"),
        ("whatsapp", TELEGRAM_TOKEN, "WhatsApp has no such credential"),
    ],
)
def test_a_wrong_token_stops_the_creation_under_its_field(
    platform: Platform, channel: str, token: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        platform.instances.create("me", {**GOOD, "channel": channel, "botToken": token})
    assert list(refused.value.errors) == ["botToken"]
    assert said in refused.value.errors["botToken"][0]
    assert platform.instances.list("me").instances == []


@pytest.mark.parametrize("channel", ["telegram", "discord", "whatsapp"])
def test_every_channel_can_be_deployed_without_credentials(platform: Platform, channel: str) -> None:
    assert platform.instances.create("me", {**GOOD, "channel": channel}).status == "running"
