"""How a bot comes up: the steps as they happen, and what to do when one fails."""

import falcon

from clawdeploy.core.contracts import Instance, Status
from clawdeploy.web.pages.page import Page, is_changing
from clawdeploy.web.queries import read_instance_id
from clawdeploy.web.request import Request

ADVICE = {
    "image_unavailable": "The server has to download the bot's software first and could not. "
    "Check that it is connected to the internet, then try again.",
    "name_taken": "Whoever runs this server has to remove what has its name; then try again.",
    "port_taken": "Try again; another port may be free.",
    "runtime_failure": "Try again. If it keeps failing, show the sentence above to whoever runs this server.",
    "crashed": "Open the bot to read what it wrote. A wrong token or key is the usual cause.",
    "crash_loop": "Open the bot to read what it wrote. A wrong token or key is the usual cause.",
    "out_of_memory": "Try again. If it happens again, the bot needs more memory than this server gives it.",
    "not_ready": "It may only have needed longer: try again. Open the bot to read what it wrote.",
}


class ProgressPage(Page):
    """``/dashboard/instances/{id}/progress``."""

    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Show the steps, and lead on when there is nothing more to see."""
        instance = self._instances.get(req.caller, read_instance_id(instance_id))
        leads_to = _leads_to(instance)
        if leads_to and not req.wants_part:
            resp.status, resp.location = falcon.HTTP_SEE_OTHER, leads_to
        else:
            self._show_progress(req, resp, instance, leads_to)

    on_head = on_get

    def _show_progress(self, req: Request, resp: falcon.Response, instance: Instance, leads_to: str) -> None:
        self.show(
            req,
            resp,
            "progress.mako",
            instance=instance,
            progress=self._instances.progress(req.caller, instance.id),
            advice=ADVICE.get(instance.reason, ""),
            changing=is_changing(instance),
            leads_to=leads_to,
        )


def _leads_to(instance: Instance) -> str:
    """Return where an owner goes on from here; empty while the bot comes up, and when it failed to."""
    if is_changing(instance) or instance.status is Status.ERROR:
        return ""
    if instance.status is Status.RUNNING:
        return f"/dashboard?notice=created&bot={instance.id}"
    return f"/dashboard/instances/{instance.id}"
