"""The form for a new bot. Its fields are what the plugins of this server ask for."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import falcon

from clawdeploy.core.catalog import LANGUAGE_MODELS, Catalog
from clawdeploy.core.contracts import Channel
from clawdeploy.core.errors import ClawDeployError, IdempotencyKeyReused, InstanceNotFound, InvalidInput
from clawdeploy.core.fields import API_KEY, LONGEST_NAME, LONGEST_SECRET
from clawdeploy.core.platform import Platform
from clawdeploy.web.errors import problem_of
from clawdeploy.web.pages.forms import read_form
from clawdeploy.web.pages.page import Page
from clawdeploy.web.request import Request
from clawdeploy.web.templating import Templates

KEY = "key"
PLAIN = {"name": "Instance Name", "model": "Model", "channel": "Channel", "blueprint": "What runs"}
NOTHING: Mapping[str, Sequence[str]] = {}
MADE_ALREADY = "This form has made a bot already; the dashboard shows it. Send the form again to make another one."


def new_key() -> str:
    """Return what one form is known by, so that it makes one bot however often it is sent."""
    return secrets.token_urlsafe(18)


@dataclass(frozen=True)
class Input:
    """One input: its element's id, the name that it is sent by, and what people read above and below it."""

    id: str
    name: str
    label: str
    help: str = ""


@dataclass(frozen=True)
class Option:
    """One choice of a list; ``inputs`` belong to it alone, by the name of the channel's field."""

    name: str
    label: str
    help: str
    inputs: Mapping[str, Input] = field(default_factory=dict)


class NewForm:
    """The fields of the form, and the way from what was sent to the body of a create and back to its errors."""

    def __init__(self, catalog: Catalog) -> None:
        blueprints = list(catalog.blueprint_members.values())
        self.models = [Option(one.name, one.label, one.help) for one in LANGUAGE_MODELS]
        self.channels = [_channel(at, one) for at, one in enumerate(catalog.channel_members.values())]
        self.blueprints = [Option(one.name, one.label, one.description) for one in blueprints if len(blueprints) > 1]
        self.api_key = Input("api-key", API_KEY, "API Key")
        plain = [Input(name, name, label) for name, label in PLAIN.items() if name != "blueprint" or self.blueprints]
        hidden = [self.api_key, *(one for part in self.channels for one in part.inputs.values())]
        self.places = {one.name: one for one in (*plain, *hidden)}
        self.secrets = frozenset(one.name for one in hidden)
        self.known = frozenset((KEY, *self.places))
        self._default_blueprint = catalog.default_blueprint

    def defaults(self) -> dict[str, str]:
        """Return what a fresh form holds; its key makes sure that it is carried out once."""
        channel = self.channels[0].name if self.channels else ""
        chosen = {"model": self.models[0].name, "channel": channel, "blueprint": self._default_blueprint}
        return {KEY: new_key(), "name": "", **chosen}

    def body(self, sent: Mapping[str, str]) -> dict[str, Any]:
        """Return the body of a create; of all credentials only those of the chosen channel count."""
        # Values are often pasted with a space or line end around them.
        filled = {name: value.strip() for name, value in sent.items() if value.strip()}
        body: dict[str, Any] = {name: filled[name] for name in (*PLAIN, API_KEY) if name in filled}
        given = {field: filled[name] for field, name in self._inputs(sent).items() if name in filled}
        return {"name": "", **body, "credentials": given}

    def errors(self, sent: Mapping[str, str], said: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Return what the core says about a body by the names of the inputs that it came from."""
        inputs = self._inputs(sent)
        return {inputs.get(field, field): sentences for field, sentences in said.items()}

    def _inputs(self, sent: Mapping[str, str]) -> dict[str, str]:
        """Return the names of the chosen channel's inputs by the names of its fields."""
        channel = sent.get("channel", "").strip()
        return {field: one.name for part in self.channels if part.name == channel for field, one in part.inputs.items()}


def _channel(at: int, channel: Channel) -> Option:
    # Ids are counted: a plugin may call its channel or field anything, also what is no id.
    inputs = {
        field.name: Input(f"secret-{at}-{number}", f"credentials.{channel.name}.{field.name}", field.label, field.help)
        for number, field in enumerate(channel.credential_fields)
    }
    return Option(channel.name, channel.label, channel.help, inputs)


class _NewPage(Page):
    def __init__(self, platform: Platform, templates: Templates) -> None:
        super().__init__(platform, templates)
        self._form = NewForm(platform.catalog)
        self._quotas = platform.quotas


class New(_NewPage):
    """``/dashboard/new``."""

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Show the empty form."""
        self._show_form(req, resp, {})

    on_head = on_get

    def on_post(self, req: Request, resp: falcon.Response) -> None:
        """Make the bot, and lead to where its owner sees it come up; or show the form again with what is wrong."""
        sent = read_form(req, self._form.known)
        try:
            made = self._instances.create_once(req.caller, self._form.body(sent), sent.get(KEY) or new_key())
        except ClawDeployError as error:
            self._refuse(req, resp, sent, error)
        else:
            resp.status = falcon.HTTP_CREATED if req.wants_part else falcon.HTTP_SEE_OTHER
            resp.location = f"/dashboard/instances/{made.id}/progress"

    def _refuse(self, req: Request, resp: falcon.Response, sent: Mapping[str, str], error: ClawDeployError) -> None:
        """Say what was wrong: to a script as the API does, by the names of the inputs; else with the form again."""
        if isinstance(error, InvalidInput):
            error = InvalidInput(self._form.errors(sent, error.errors))
        elif isinstance(error, IdempotencyKeyReused | InstanceNotFound):
            # It was carried out before it was changed, or what it made was deleted since: as another form it may go on.
            error, sent = IdempotencyKeyReused(MADE_ALREADY), {**sent, KEY: new_key()}
        if req.wants_part:
            raise error
        problem = problem_of(error)
        resp.status = falcon.code_to_http_status(problem.status)
        resp.set_headers(dict(problem.headers))
        self._show_form(req, resp, sent, problem.errors, "" if problem.errors else problem.detail)

    def _show_form(
        self,
        req: Request,
        resp: falcon.Response,
        sent: Mapping[str, str],
        errors: Mapping[str, Sequence[str]] = NOTHING,
        trouble: str = "",
    ) -> None:
        """Show the form with what was sent, but never a secret, and what is wrong with it."""
        form = self._form
        typed = {name: value for name, value in sent.items() if name not in form.secrets and value}
        self.show(
            req,
            resp,
            "new.mako",
            form=form,
            values={**form.defaults(), **typed},
            usage=self._quotas.usage(req.caller),
            errors=errors,
            trouble=trouble,
            secrets_lost=any(sent.get(name) for name in form.secrets),
            longest_name=LONGEST_NAME,
            longest_secret=LONGEST_SECRET,
        )


class NewCheck(_NewPage):
    """``/dashboard/new/check``: for the script of the form, which asks while somebody is still typing."""

    def on_post(self, req: Request, resp: falcon.Response) -> None:
        """Say what is wrong with what was sent, by the names of the inputs, and make nothing."""
        sent = read_form(req, self._form.known)
        said = self._instances.check(self._form.body(sent))
        resp.media = {"errors": self._form.errors(sent, said)}
