"""How people sign in with a browser, besides what they show to be recognized by."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from clawdeploy.core.contracts.auth import Credentials, Identity


@dataclass(frozen=True)
class Visit:
    """A browser asks for a protected page, to show it: a GET of a document, and nothing that a script asks for.

    ``target`` is path and query as the browser sent them.
    """

    credentials: Credentials
    target: str


@dataclass(frozen=True)
class Reception:
    """What becomes of a visit.

    With ``leads_to`` the browser is sent there at once (307, never kept in a cache) and sees no page. Else it gets the
    page as ``identity``, or counts as signed out when there is none. ``cookies`` are values of ``Set-Cookie`` for
    whatever is answered.
    """

    identity: Identity | None = None
    leads_to: str = ""
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Script:
    """A script of a page, run in the order of the list when the page has arrived; ``attributes`` are further ones.

    One that comes from elsewhere should have the attribute ``async``: nothing on the page then waits for it.
    """

    address: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    module: bool = False


@dataclass(frozen=True)
class SignIn:
    """How people get signed in with a browser, and signed out: what an ``AuthProvider`` may have as ``sign_in``.

    There is one at a time. A ``fallback`` is used only when there is no other, and then its provider is not asked
    either. ``sign_out`` is the address that the button "Sign out" posts to; without one, scripts have to bring a
    button, for which signed-in pages have an empty element ``#signed-in-as``, and the landing page has
    ``#sign-in-here`` to sign in. ``scripts`` are loaded by these pages and by no others, and ``sources`` is what their
    Content-Security-Policy allows in addition, by directive.

    ``receive`` is asked when a protected page is visited, before all providers, and may leave it to them with ``None``.
    ``returns`` says that whoever has to sign in is led on to the page that was asked for: its path is the parameter
    ``next`` of the landing page's address, without the query's ``parameters``: those that the sign-in itself adds to
    addresses of pages, and that mean nothing later. ``ended`` says to a browser that is signed out, by what it sent,
    why it may be so, in a sentence or two, and nothing to one that was never signed in. ``check`` looks, for
    ``clawdeploy doctor``, whether what it rests on is there; it returns a sentence, or raises ``SignInUnavailable`` or
    ``ConfigurationError``.
    """

    fallback: bool = False
    sign_out: str = ""
    scripts: tuple[Script, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    receive: Callable[[Visit], Reception | None] | None = None
    returns: bool = False
    parameters: Set[str] = frozenset()
    ended: Callable[[Credentials], str] | None = None
    check: Callable[[], str] | None = None


def without_parameters(target: str, names: Set[str]) -> str:
    """Return path and query without these parameters; the rest stays as it is, letter by letter."""
    path, _, query = target.partition("?")
    kept = [part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in names]
    return f"{path}?{'&'.join(kept)}" if any(kept) else path
