"""The account page: what somebody is signed in with, the tokens of their programs, and what was done with both."""

from typing import Any

import falcon

from clawdeploy.core.account import LIFETIMES
from clawdeploy.core.audit import AuditEntry
from clawdeploy.core.errors import InvalidInput
from clawdeploy.core.platform import Platform
from clawdeploy.web.pages.forms import read_form
from clawdeploy.web.pages.page import Page
from clawdeploy.web.queries import read_credential_id
from clawdeploy.web.request import Request
from clawdeploy.web.templating import Templates

ADDRESS = "/dashboard/account"
USUAL_LIFETIME = "90"
MOST_SHOWN = 20


class _AccountPage(Page):
    def __init__(self, platform: Platform, templates: Templates) -> None:
        super().__init__(platform, templates)
        self._account = platform.account
        self._audit = platform.audit

    def show_account(self, req: Request, resp: falcon.Response, **values: Any) -> None:
        """Show all sections; ``made`` is the value of a token that was just made, and never shown again."""
        sections = [
            (section, self._account.credentials(req.identity, section.kind))
            for section in self._account.sections.values()
        ]
        ended = self._account.sections.get(req.get_param("ended") or "")
        happened = [(words(entry), entry) for entry in self._audit.newest(MOST_SHOWN, user_id=req.caller)]
        empty: dict[str, Any] = {"made": None, "kind": "", "errors": {}, "form": {"lifetime": USUAL_LIFETIME}}
        told = ended.ended if ended else ""
        shown: dict[str, Any] = {"sections": sections, "told": told, "happened": happened, "lifetimes": LIFETIMES}
        self.show(req, resp, "account.mako", **shown, **{**empty, **values})


def words(entry: AuditEntry) -> str:
    """Say what was done, such as "Api token made"."""
    return entry.what.replace("_", " ").replace(".", " ").capitalize()


class AccountPage(_AccountPage):
    """``/dashboard/account``."""

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Show what there is."""
        self.show_account(req, resp)

    on_head = on_get


class AccountSectionPage(_AccountPage):
    """``/dashboard/account/{kind}``: where a new credential is made."""

    def on_get(self, req: Request, resp: falcon.Response, kind: str) -> None:
        """Lead to the whole page, for whoever opens again the address of a form that was sent."""
        self._account.section(kind)
        resp.status, resp.location = falcon.HTTP_SEE_OTHER, ADDRESS

    def on_post(self, req: Request, resp: falcon.Response, kind: str) -> None:
        """Make one, and show its value this once; or show the form again with what is wrong."""
        form = {"name": "", "lifetime": "", **read_form(req, ("name", "lifetime"))}
        try:
            secret, _ = self._account.make(req.identity, kind, form["name"], form["lifetime"])
        except InvalidInput as refused:
            resp.status = falcon.HTTP_BAD_REQUEST
            self.show_account(req, resp, kind=kind, errors=refused.errors, form=form)
        else:
            self.show_account(req, resp, kind=kind, made=secret.reveal())


class AccountSectionEnd(_AccountPage):
    """``/dashboard/account/{kind}/end-all``."""

    def on_post(self, req: Request, resp: falcon.Response, kind: str) -> None:
        """End all of a kind, and lead back; whoever ended their own session with them is signed out."""
        read_form(req, ())
        own = self._account.end_all(req.identity, kind)
        resp.status = falcon.HTTP_SEE_OTHER
        resp.location = "/" if own else f"{ADDRESS}?ended={kind}"


class AccountCredentialEnd(_AccountPage):
    """``/dashboard/account/{kind}/{credential_id}/end``."""

    def on_post(self, req: Request, resp: falcon.Response, kind: str, credential_id: str) -> None:
        """End it, and lead back; whoever ended their own session is signed out."""
        read_form(req, ())
        self._account.end(req.identity, kind, read_credential_id(credential_id))
        own = credential_id == req.identity.credential_id
        resp.status = falcon.HTTP_SEE_OTHER
        resp.location = "/" if own else f"{ADDRESS}?ended={kind}"
