"""The page of one bot: all that is known of it, what can be changed, what has happened, and what it writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import falcon

from clawdeploy.core.activity import KEPT
from clawdeploy.core.catalog import LANGUAGE_MODELS
from clawdeploy.core.contracts import Instance, Status
from clawdeploy.core.errors import InvalidInput
from clawdeploy.core.fields import API_KEY, BOT_TOKEN, LONGEST_NAME, LONGEST_SECRET
from clawdeploy.web.pages.actions import WAIT_SECONDS
from clawdeploy.web.pages.choices import choices
from clawdeploy.web.pages.forms import read_form
from clawdeploy.web.pages.happened import lasting, told
from clawdeploy.web.pages.log_lines import FIRST_LINES, lines_in_time
from clawdeploy.web.pages.notices import tell
from clawdeploy.web.pages.page import Page, is_changing
from clawdeploy.web.queries import read_instance_id
from clawdeploy.web.request import Request

MOST_ENTRIES = 50
MOST_LINES = 10_000
NO_ERRORS: Mapping[str, list[str]] = {}

WELL = {
    Status.RUNNING: "All is well: it runs and answers.",
    Status.STOPPED: "It is stopped. Start brings it back.",
}
"""What is said of a status that needs no reason."""

WAS_WELL = {
    Status.RUNNING: "It ran when it was last looked at.",
    Status.STOPPED: "It was stopped when it was last looked at. Start brings it back.",
}
"""The same while nobody can know how it is now."""


@dataclass(frozen=True)
class SecretField:
    """A secret of a bot as its page shows it: never the value, only whether there is one."""

    name: str
    label: str
    help: str
    is_set: bool


class InstancePage(Page):
    """``/dashboard/instances/{id}``."""

    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Show the bot."""
        self.show_instance(req, resp, self._instances.get(req.caller, read_instance_id(instance_id)))

    on_head = on_get

    def show_instance(
        self,
        req: Request,
        resp: falcon.Response,
        instance: Instance,
        errors: Mapping[str, list[str]] = NO_ERRORS,
        typed_name: str | None = None,
    ) -> None:
        """Show the bot, with what was wrong about a form that was sent, by the name of its field."""
        secrets = self.secret_fields(instance)
        called = {field.name: field.label for field in secrets}
        entries = self._instances.activity(req.caller, instance.id, KEPT)
        everything = req.get_param("activity") == "all"
        happened = list(entries) if everything else lasting(entries)[:MOST_ENTRIES]
        self.show(
            req,
            resp,
            "instance.mako",
            instance=instance,
            known_at=instance.status_as_of,
            reason=instance.detail or self._well(instance),
            address=self._bot_addresses.address(req, instance),
            config=json.dumps(instance.config, indent=2, ensure_ascii=False) if instance.config else "",
            labels=self._platform.catalog.labels(),
            secrets=secrets,
            happened=[told(one, req.caller, called) for one in happened],
            everything=everything,
            hidden=len(entries) - len(happened),
            lines=None if req.wants_part else self._first_lines(instance),
            choices=choices,
            changing=is_changing(instance),
            errors=errors,
            typed_name=instance.name if typed_name is None else typed_name,
            longest_name=LONGEST_NAME,
            longest_secret=LONGEST_SECRET,
        )

    def _well(self, instance: Instance) -> str:
        unsure = self._platform.engine_silent_since() or self._instances.is_old(instance.status_as_of)
        return (WAS_WELL if unsure else WELL).get(instance.status, "")

    def _first_lines(self, instance: Instance) -> list[str] | None:
        """Return what the bot wrote last, ``None`` when that cannot be found out at once."""
        if instance.container_id is None or instance.reason == "container_missing":
            return []
        if not self._platform.engine_health.answers_at_once():
            return None
        return lines_in_time(lambda: self._instances.logs(instance.owner, instance.id, FIRST_LINES))

    def secret_fields(self, instance: Instance) -> list[SecretField]:
        """Return the secrets that a bot can have: those of its channel, the key of its model, and what is left over."""
        channel = self._platform.catalog.channel_members.get(instance.channel)
        fields = [(one.name, one.label, one.help) for one in channel.credential_fields] if channel else []
        model = next((model.help for model in LANGUAGE_MODELS if model.name == instance.model), "")
        fields.append((API_KEY, "API Key", model))
        known = {name for name, _, _ in fields}
        fields += [(name, name, "Nothing uses it any more.") for name in sorted(instance.secrets_set - known)]
        return [SecretField(name, label, help_, name in instance.secrets_set) for name, label, help_ in fields]


class InstanceRename(InstancePage):
    """``/dashboard/instances/{id}/rename``."""

    section = "rename"

    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Lead to the page, for whoever opens again the address of a form that was sent."""
        instance = self._instances.get(req.caller, read_instance_id(instance_id))
        resp.status, resp.location = falcon.HTTP_SEE_OTHER, _address(instance.id)

    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Give the bot another name."""
        instance = self._instances.get(req.caller, read_instance_id(instance_id))
        name = read_form(req, ("name",)).get("name", "")
        self.change(req, resp, instance, {"name": name}, "renamed", name)

    def change(
        self,
        req: Request,
        resp: falcon.Response,
        instance: Instance,
        body: Mapping[str, Any],
        notice: str,
        typed_name: str | None = None,
    ) -> None:
        """Make the change, or show the page with what is wrong about it."""
        try:
            changed = self._instances.patch(req.caller, instance.id, body, wait=WAIT_SECONDS)
        except InvalidInput as refused:
            if req.wants_part:
                raise
            resp.status = falcon.HTTP_BAD_REQUEST
            self.show_instance(req, resp, instance, refused.errors, typed_name)
        else:
            tell(req, resp, notice, changed.name, _address(instance.id), bot=instance.id)
            if resp.location:
                resp.location += f"#{self.section}"


class InstanceCredentials(InstanceRename):
    """``/dashboard/instances/{id}/credentials``."""

    section = "secrets"

    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Replace a secret, or remove it."""
        instance = self._instances.get(req.caller, read_instance_id(instance_id))
        form = read_form(req, ("field", "value", "remove"))
        field = form.get("field", "")
        if field not in {one.name for one in self.secret_fields(instance)}:
            raise InvalidInput({"field": ["The bot has no such secret."]})
        value = None if "remove" in form else form.get("value", "")
        plain = field in (BOT_TOKEN, API_KEY)
        notice = "secret_removed" if value is None else "secret_replaced"
        self.change(req, resp, instance, {field: value} if plain else {"credentials": {field: value}}, notice)


class InstanceLogFile(Page):
    """``/dashboard/instances/{id}/logs.txt``."""

    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Hand the logs over as a file."""
        wanted = read_instance_id(instance_id)
        text = self._instances.logs(req.caller, wanted, MOST_LINES)
        resp.content_type = "text/plain; charset=utf-8"
        resp.set_header("Content-Disposition", f'attachment; filename="clawdeploy-{wanted}.log"')
        resp.data = text.encode("utf-8", "replace")


def _address(instance_id: str) -> str:
    return f"/dashboard/instances/{instance_id}"
