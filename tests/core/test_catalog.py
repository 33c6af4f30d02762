"""What can be chosen on this server, as the form needs it."""

import json

from clawdeploy.core.catalog import LANGUAGE_MODELS, Catalog
from clawdeploy.plugins.standin import StandIn
from clawdeploy.plugins.telegram import Telegram
from clawdeploy.plugins.whatsapp import WhatsApp


def catalog() -> Catalog:
    one, two = StandIn("nginx:alpine"), StandIn("nginx:alpine")
    two.name = "other"
    return Catalog({"standin": one, "other": two}, {"telegram": Telegram(), "whatsapp": WhatsApp()}, "standin")


def test_the_three_models_of_the_requirements() -> None:
    assert [model["name"] for model in catalog().models()] == ["claude-opus-4.5", "gpt-5.2", "gemini-3-flash"]
    assert all(model.label and model.provider and model.help.endswith(".") for model in LANGUAGE_MODELS)


def test_channels_with_the_fields_of_their_forms() -> None:
    telegram, whatsapp = catalog().channels()
    assert (telegram["name"], telegram["label"]) == ("telegram", "Telegram")
    assert [field["name"] for field in telegram["credentialFields"]] == ["botToken"]
    assert set(telegram["credentialFields"][0]) == {"name", "label", "help"}
    assert whatsapp["credentialFields"] == []


def test_blueprints_of_which_one_is_the_default() -> None:
    assert [(each["name"], each["default"]) for each in catalog().blueprints()] == [
        ("standin", True),
        ("other", False),
    ]


def test_everything_is_json() -> None:
    json.dumps([catalog().models(), catalog().channels(), catalog().blueprints()])
