"""What the pages of signed-in people have in common."""

from datetime import datetime
from typing import Any

import falcon

from clawdeploy.core.contracts import Instance, Status
from clawdeploy.core.errors import InstanceNotFound
from clawdeploy.core.platform import Platform
from clawdeploy.web.middleware import content_security_policy
from clawdeploy.web.pages.bot_address import BotAddresses
from clawdeploy.web.pages.notices import sentence
from clawdeploy.web.queries import read_instance_id
from clawdeploy.web.request import Request
from clawdeploy.web.templating import Templates


class Page:
    """Base of the pages behind sign-in."""

    def __init__(self, platform: Platform, templates: Templates) -> None:
        self._platform = platform
        self._instances = platform.instances
        self._templates = templates
        self._bot_addresses = BotAddresses(platform.config, platform.instances)

    def show(
        self, req: Request, resp: falcon.Response, template: str, known_at: datetime | None = None, **values: Any
    ) -> None:
        """Answer with a page, or with its live part when a script of ours asks for no more.

        Every template gets ``identity``, ``sign_in``, ``path``, ``now``, ``silent_since`` (since when the engine has
        not answered, or ``None``), ``known_at`` (of when is what is said of bots), ``is_old`` (whether that is too long
        ago to be believed) and ``notice`` (a sentence to show once, or an empty text), besides ``values``.
        """
        values.update(
            known_at=known_at,
            is_old=known_at is not None and self._instances.is_old(known_at),
            identity=req.identity,
            sign_in=self._platform.sign_in,
            path=req.path,
            now=self._platform.clock(),
            silent_since=self._platform.engine_silent_since(),
            notice=self._notice(req),
        )
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Vary", "HX-Request")
        resp.set_header("Content-Security-Policy", content_security_policy(self._platform.sign_in.sources))
        render = self._templates.render_live if req.wants_part else self._templates.render
        resp.text = render(template, **values)

    def _notice(self, req: Request) -> str:
        """Return the sentence that an address asks for by its code; what it cannot name is nothing."""
        code = req.get_param("notice") or ""
        try:
            name = self._instances.get(req.caller, read_instance_id(req.get_param("bot") or "")).name
        except InstanceNotFound:
            name = ""
        return sentence(code, name)


def is_changing(instance: Instance) -> bool:
    """Say whether something is going on with an instance, so that it is worth looking again soon."""
    return instance.operation is not None or instance.status in (Status.PENDING, Status.CREATING)
