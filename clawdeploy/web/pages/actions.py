"""What the buttons of cards and toolbars send: each action is carried out by the core and answered with a notice."""

import falcon

from clawdeploy.core.contracts import Instance, Status
from clawdeploy.web.pages.forms import read_form
from clawdeploy.web.pages.notices import tell
from clawdeploy.web.pages.page import Page
from clawdeploy.web.queries import read_instance_id
from clawdeploy.web.request import Request

WAIT_SECONDS = 1.0
"""How long an action is waited for; what takes longer is seen as it happens."""


class Action(Page):
    """``POST /dashboard/instances/{id}/{name}``; the hidden field ``back`` says which page the form stands on."""

    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Do it, and say so."""
        back = read_form(req, ("back",)).get("back", "")
        wanted = read_instance_id(instance_id)
        name = self._instances.get(req.caller, wanted).name
        changed = self.act(req.caller, wanted)
        tell(req, resp, self.told(changed), name, self.leads_to(back, wanted), bot=wanted)

    outcome: Status | None = None
    """The status that the action brings about when it succeeds."""
    notice = ""
    """What is told of an action that is not through yet, or has failed; ``done`` what is told of its success."""
    done = ""

    def act(self, owner: str, instance_id: str) -> Instance | None:
        """Carry the action out and return the instance as it is then; ``None`` if there is none any more."""
        raise NotImplementedError

    def told(self, changed: Instance | None) -> str:
        """Return the code of the notice."""
        succeeded = changed and changed.operation is None and changed.status is self.outcome
        return self.done if succeeded else self.notice

    def leads_to(self, back: str, instance_id: str) -> str:
        """Return the page on which the owner goes on."""
        if back == "dashboard":
            return "/dashboard"
        return f"/dashboard/instances/{instance_id}" + ("/progress" if back == "progress" else "")


class Start(Action):
    """Start the container."""

    outcome = Status.RUNNING
    notice = "starting"
    done = "started"

    def act(self, owner: str, instance_id: str) -> Instance:
        """See ``Instances.start``."""
        return self._instances.start(owner, instance_id, wait=WAIT_SECONDS)


class Stop(Action):
    """Stop the container."""

    outcome = Status.STOPPED
    notice = "stopping"
    done = "stopped"

    def act(self, owner: str, instance_id: str) -> Instance:
        """See ``Instances.stop``."""
        return self._instances.stop(owner, instance_id, wait=WAIT_SECONDS)


class Restart(Action):
    """Stop the container and start it again."""

    outcome = Status.RUNNING
    notice = "restarting"
    done = "restarted"

    def act(self, owner: str, instance_id: str) -> Instance:
        """See ``Instances.restart``."""
        return self._instances.restart(owner, instance_id, wait=WAIT_SECONDS)


class Retry(Action):
    """Try once more to bring an instance up."""

    outcome = Status.RUNNING
    notice = "retried"
    done = "started"

    def act(self, owner: str, instance_id: str) -> Instance:
        """See ``Instances.retry``."""
        return self._instances.retry(owner, instance_id, wait=WAIT_SECONDS)


class Delete(Action):
    """Delete the instance; there is no page of it any more."""

    notice = "deleted"

    def act(self, owner: str, instance_id: str) -> None:
        """See ``Instances.delete``."""
        self._instances.delete(owner, instance_id, wait=WAIT_SECONDS)

    def leads_to(self, back: str, instance_id: str) -> str:
        """Lead to the list."""
        return "/dashboard"
