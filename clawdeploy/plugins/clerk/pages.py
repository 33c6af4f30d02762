"""What pages need to sign people in with Clerk: scripts, and leave to load them."""

import hashlib
from pathlib import Path

import falcon

from clawdeploy.core.contracts import Call, Script, documented
from clawdeploy.plugins.clerk.settings import ClerkSettings

ADDRESS = "/clerk/sign-in.js"
FILE = Path(__file__).with_name("sign_in.js")
MEDIA_TYPE = "text/javascript"
CAPTCHA = "https://challenges.cloudflare.com"
PROTECTION = "https://*.protect.clerk.com"
FOR_GOOD = "public, max-age=31536000, immutable"


def scripts(settings: ClerkSettings) -> tuple[Script, ...]:
    """Return Clerk's scripts, from the Frontend API, and ours."""
    packages = f"{settings.frontend_api}/npm/@clerk"
    elsewhere = {"async": "async", "crossorigin": "anonymous"}
    version = hashlib.sha256(FILE.read_bytes()).hexdigest()[:12]
    return (
        Script(f"{packages}/ui@{settings.ui_version}/dist/ui.browser.js", {"id": "clerk-ui", **elsewhere}),
        Script(
            f"{packages}/clerk-js@{settings.js_version}/dist/clerk.browser.js",
            {"id": "clerk-js", "data-clerk-publishable-key": settings.key.text, **elsewhere},
        ),
        Script(f"{ADDRESS}?v={version}", module=True),
    )


def sources(settings: ClerkSettings) -> dict[str, tuple[str, ...]]:
    """Return what Clerk's document on the Content-Security-Policy asks for, by directive, and no more."""
    return {
        "script-src": (settings.frontend_api, CAPTCHA, PROTECTION),
        "connect-src": (settings.frontend_api, f"{PROTECTION}:*"),
        "img-src": ("https://img.clerk.com",),
        "style-src": ("'unsafe-inline'",),
        "worker-src": ("'self'", "blob:"),
        "frame-src": (CAPTCHA, PROTECTION),
    }


class SignInScript:
    """``GET /clerk/sign-in.js``: our part of the scripts."""

    def __init__(self) -> None:
        self._text = FILE.read_text("utf-8")

    @documented(Call(MEDIA_TYPE))
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Give the script that pages load to sign people in with Clerk."""
        resp.content_type = MEDIA_TYPE
        resp.set_header("Cache-Control", FOR_GOOD if "v" in req.params else "no-cache")
        resp.text = self._text

    on_head = on_get
