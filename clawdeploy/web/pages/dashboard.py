"""The dashboard: the caller's instances as cards."""

import re
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

import falcon

from clawdeploy.core.contracts import Status
from clawdeploy.web.pages.choices import choices
from clawdeploy.web.pages.page import Page, is_changing
from clawdeploy.web.request import Request

PAGE_SIZE = 24
LONGEST_SEARCH = 100
SHOWN = (Status.RUNNING, Status.CREATING, Status.PENDING, Status.STOPPED, Status.ERROR)


@dataclass(frozen=True)
class Asked:
    """What the address asks for: a text to search names for, a status or none, and the page's number from 1 on."""

    text: str
    status: str
    number: int

    @classmethod
    def read(cls, req: Request) -> "Asked":
        """Read the query; what makes no sense asks for nothing."""
        status = req.get_param("status") or ""
        number = req.get_param("page") or ""
        return cls(
            text=(req.get_param("q") or "").strip()[:LONGEST_SEARCH],
            status=status if status in SHOWN else "",
            number=int(number) if re.fullmatch("[1-9][0-9]{0,5}", number) else 1,
        )

    def address(self, **changed: object) -> str:
        """Return the address of the dashboard that asks for the same, but for what is ``changed``."""
        query = {"q": self.text, "status": self.status, "page": self.number, **changed}
        said = {name: value for name, value in query.items() if value and (name, value) != ("page", 1)}
        return f"/dashboard?{urlencode(said)}" if said else "/dashboard"


class Dashboard(Page):
    """``/dashboard``."""

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Show the list, newest first, a page at a time."""
        asked = Asked.read(req)
        offset = (asked.number - 1) * PAGE_SIZE
        found = self._instances.search(req.caller, text=asked.text, status=asked.status, offset=offset, limit=PAGE_SIZE)
        self.show(
            req,
            resp,
            "dashboard.mako",
            asked=asked,
            found=found,
            offset=offset,
            statuses=SHOWN,
            choices=choices,
            labels=self._platform.catalog.labels(),
            address_of=partial(self._bot_addresses.address, req),
            known_at=min((instance.status_as_of for instance in found.instances), default=None),
            changing=any(is_changing(instance) for instance in found.instances),
        )

    on_head = on_get
