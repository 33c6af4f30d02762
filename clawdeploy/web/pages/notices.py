"""What people are told after they did something, and how they are told it."""

import json
from typing import Any
from urllib.parse import urlencode

import falcon

from clawdeploy.web.request import Request

SENTENCES = {
    "created": "{bot} is up and running.",
    "starting": "{bot} is starting.",
    "started": "{bot} is running.",
    "stopping": "{bot} is being stopped.",
    "stopped": "{bot} has stopped.",
    "restarting": "{bot} is restarting.",
    "restarted": "{bot} has restarted.",
    "retried": "Trying again with {bot}.",
    "deleted": "{bot} was deleted.",
    "renamed": "The bot is now called {bot}.",
    "secret_replaced": "The secret of {bot} was replaced.",
    "secret_removed": "The secret of {bot} was removed.",
}


def sentence(code: str, name: str) -> str:
    """Return the sentence of a notice about the bot called ``name``; empty for a code that there is not."""
    said = SENTENCES.get(code, "").format(bot=f"“{name}”" if name else "the bot")
    return said[:1].upper() + said[1:]


def tell(req: Request, resp: falcon.Response, code: str, name: str, leads_to: str, **query: str) -> None:
    """Answer a form that was carried out.

    A script gets the notice as an event, and an event ``changed`` that has the live part of its page refreshed; a
    browser without scripts is led to ``leads_to``, where it finds the same notice.
    """
    if req.wants_part:
        events: dict[str, Any] = {"notice": {"text": sentence(code, name)}, "changed": True}
        resp.set_header("HX-Trigger", json.dumps(events))
        resp.status = falcon.HTTP_NO_CONTENT
    else:
        resp.status = falcon.HTTP_SEE_OTHER
        resp.location = f"{leads_to}?{urlencode({'notice': code, **query})}"
