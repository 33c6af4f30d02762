"""What can be chosen on this server: language models, channels, blueprints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clawdeploy.core.answers import BLUEPRINT, CHANNEL, LANGUAGE_MODEL
from clawdeploy.core.contracts import Blueprint, Channel


@dataclass(frozen=True)
class LanguageModel:
    """A model a bot can think with; ``help`` says where its owner gets an API key."""

    name: str
    label: str
    provider: str
    help: str


LANGUAGE_MODELS = (
    LanguageModel(
        "claude-opus-4.5", "Claude Opus 4.5", "anthropic", "Make a key at platform.claude.com under API Keys."
    ),
    LanguageModel("gpt-5.2", "GPT-5.2", "openai", "Make a key at platform.openai.com under API keys."),
    LanguageModel("gemini-3-flash", "Gemini 3 Flash", "google", "Make a key at aistudio.google.com under Get API key."),
)


class Catalog:
    """The choices of this server, as the form needs them."""

    def __init__(
        self, blueprints: Mapping[str, Blueprint], channels: Mapping[str, Channel], default_blueprint: str
    ) -> None:
        self.blueprint_members = blueprints
        self.channel_members = channels
        self.default_blueprint = default_blueprint

    def models(self) -> list[dict[str, Any]]:
        """Return the language models as JSON values."""
        return list(LANGUAGE_MODEL.dump(LANGUAGE_MODELS, many=True))

    def channels(self) -> list[dict[str, Any]]:
        """Return the channels with the credential fields of their forms, as JSON values."""
        return list(CHANNEL.dump(self.channel_members.values(), many=True))

    def labels(self) -> dict[str, str]:
        """Return what people see in place of the name of a model, channel or blueprint."""
        models = {model.name: model.label for model in LANGUAGE_MODELS}
        channels = {name: channel.label for name, channel in self.channel_members.items()}
        blueprints = {name: blueprint.label for name, blueprint in self.blueprint_members.items()}
        return {**models, **channels, **blueprints}

    def blueprints(self) -> list[dict[str, Any]]:
        """Return the blueprints, as JSON values; one of them is the default."""
        return [
            {**BLUEPRINT.dump(blueprint), "default": blueprint.name == self.default_blueprint}
            for blueprint in self.blueprint_members.values()
        ]
