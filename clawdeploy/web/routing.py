"""Which of the offered resources can be served, found out before anybody calls."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import get_args

import falcon
from falcon.constants import HTTP_METHODS, WEBDAV_METHODS

from clawdeploy.core.contracts import Access, Route
from clawdeploy.core.errors import PluginError
from clawdeploy.core.membership import OfferedRoute

RESPONDERS = frozenset(f"on_{method.lower()}" for method in (*HTTP_METHODS, *WEBDAV_METHODS))


def served(
    own: Sequence[Route], offered: Iterable[OfferedRoute], blame: Callable[[str], AbstractContextManager[None]]
) -> list[Route]:
    """Return our own routes and those of plugins that can be served beside them.

    When one route of a plugin cannot be served, it is the plugin's failure (``blame`` says what comes of that), and
    none of its routes is. ``offered`` is in the order of the plugins. Raises ``PluginError``, naming both, when two
    want one address: nobody could know whom a caller meant.
    """
    accepted = list(own)
    owners = {_shape(route): "the core" for route in own}
    for plugin, group in groupby(offered, key=lambda offer: offer.plugin):
        routes = [offer.route for offer in group]
        for route in routes:
            owner = owners.setdefault(_shape(route), f"plugin {plugin!r}")
            if owner != f"plugin {plugin!r}":
                raise PluginError(f"The address {route.template} is taken twice: by {owner} and by plugin {plugin!r}.")
        with blame(plugin):
            _try([*accepted, *routes])
            accepted += routes
    return accepted


def _shape(route: Route) -> str:
    """Return the address without the names of its fields, which make no difference to a caller."""
    return re.sub(r"{[^}]*}", "{}", route.template)


def _try(routes: list[Route]) -> None:
    """Raise ``PluginError`` for what the framework refuses, or would accept and then never call."""
    app = falcon.App()
    for route in routes:
        name = f"The resource at {route.template} ({type(route.resource).__name__})"
        responders = {name for name in dir(route.resource) if name.startswith("on_")}
        if not responders:
            raise PluginError(f"{name} answers no method: it has no on_get, on_post, ...")
        for responder in sorted(responders):
            if responder not in RESPONDERS or not callable(getattr(route.resource, responder)):
                raise PluginError(
                    f"{name} has a method {responder}, which would never be called. Did you mean on_get, on_post, ...?"
                )
        if route.access not in get_args(Access):
            raise PluginError(f"{name} asks for access {route.access!r}; there are public, user, admin and monitor.")
        try:
            app.add_route(route.template, route.resource)
        except (ValueError, TypeError) as error:
            raise PluginError(f"{name} cannot be served there: {error}") from error
