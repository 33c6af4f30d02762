"""The Chromium of this machine, started in one way for walks and screenshots, and the windows it has."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "google-chrome-stable")
MISSING = (
    "There is no Chromium on this machine: ./scripts/test installs it, or run: apt-get install chromium fonts-inter"
)

FONTS = Path(__file__).with_name("fonts.conf")

Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Screen:
    """How large a window is, in CSS pixels, and which colours its person likes."""

    width: int
    height: int
    scheme: Scheme = "light"

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}"

    @property
    def is_phone(self) -> bool:
        """Whether it is so narrow that it must be a phone, which is touched."""
        return self.width < 600


SIZES = ((360, 740), (768, 1024), (1440, 900))
SCREENS = tuple(Screen(*size, scheme) for size in SIZES for scheme in ("light", "dark"))
DESK = Screen(1440, 900)
PHONE = Screen(360, 740)

USUAL = (SCREENS[0], SCREENS[3], SCREENS[4])
"""Every size and both colour schemes, each at least once."""

everywhere = pytest.mark.parametrize(
    "screen",
    [screen if screen in USUAL else pytest.param(screen, marks=pytest.mark.prove) for screen in SCREENS],
    ids=str,
)
"""Marks a walk that is done in windows of every size and in both colour schemes; in all combinations by prove."""


class ChromiumMissing(Exception):
    """This machine has no Chromium; the text says what to do."""


def chromium_path() -> str:
    """Return the path of the browser; raises ``ChromiumMissing``."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    raise ChromiumMissing(MISSING)


def launch(playwright: Playwright) -> Browser:
    """Start the browser, with fonts that are the same on every machine; raises ``ChromiumMissing``."""
    return playwright.chromium.launch(
        executable_path=chromium_path(),
        # Chromium refuses its sandbox to root, and the pages that it opens are our own.
        args=["--no-sandbox"],
        env={**os.environ, "FONTCONFIG_FILE": str(FONTS)},
    )
