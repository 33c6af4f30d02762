"""What these tests live in: an instance of Clerk, its Frontend API, and a server that signs people in with it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clawdeploy.core.config import Config
from clawdeploy.core.platform import Platform
from clawdeploy.core.settings import CORE_SETTINGS
from clawdeploy.plugins.clerk.settings import SETTINGS, ClerkSettings, read
from tests.platforms import memory_platform
from tests.plugins.clerk.frontend_api import FrontendApi, Instance


def settings_of(**environment: str) -> ClerkSettings | None:
    """Return what these variables mean to the plugin."""
    return read(Config([*CORE_SETTINGS, *SETTINGS], environment))


def given(instance: Instance, **environment: str) -> ClerkSettings:
    """Return the settings of a server that uses an instance."""
    usual = {"CLERK_PUBLISHABLE_KEY": instance.publishable_key, "CLERK_AUTHORIZED_PARTIES": instance.origin}
    settings = settings_of(**{**usual, **environment})
    assert settings is not None
    return settings


@contextmanager
def serving(instance: Instance) -> Iterator[FrontendApi]:
    """Give the Frontend API of an instance."""
    api = FrontendApi(instance)
    try:
        yield api
    finally:
        api.close()


@contextmanager
def platform_with(folder: Path, environment: Mapping[str, str], **settings: Any) -> Iterator[Platform]:
    """Give a platform with settings of Clerk, named in full, and others, named as ``PORT="80"``."""
    platform = memory_platform(folder, environment=environment, **settings)
    try:
        yield platform
    finally:
        platform.close()
