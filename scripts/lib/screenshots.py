"""Take pictures of the scenes, each in four windows, and say where they are."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, StorageState, sync_playwright
from playwright.sync_api import Error as BrowserError
from screenshot_clerk import CLERK_SCENES, ClerkDemo
from screenshot_scenes import SCENES, Demo, Scene
from with_chromium import run

from tests.browser.chromium import DESK, PHONE, Scheme, launch
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

SIZES = (PHONE, DESK)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
ALL = (*SCENES, *CLERK_SCENES)


def choose(names: Iterable[str]) -> list[Scene]:
    """Return the scenes of these names, all when there are none; ends the program for a name that is not there."""
    wanted = list(names)
    known = {scene.name: scene for scene in ALL}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"{unknown[0]} is no picture of the table; --list shows those there are.")
    return [known[name] for name in wanted] or list(ALL)


def signed_in(browser: Browser, demo: Demo, user: str) -> StorageState:
    """Sign a person in and return what the browser keeps of that."""
    visitor = Visitor(browser, demo.site, user, DESK).sign_in()
    try:
        return visitor.context.storage_state()
    finally:
        visitor.close()


def take(browser: Browser, demo: Demo, scene: Scene, kept: StorageState | None, folder: Path) -> None:
    """Go where a scene is, once, and take its pictures; raises what goes wrong on the way."""
    visitor = Visitor(browser, demo.site, scene.user or "", DESK, storage_state=kept)
    try:
        scene.reach(demo, visitor.page)
        for size, scheme in product(SIZES, SCHEMES):
            visitor.page.set_viewport_size({"width": size.width, "height": size.height})
            visitor.page.emulate_media(color_scheme=scheme)
            picture = folder / f"{scene.name}-{size.width}-{scheme}.png"
            visitor.page.screenshot(path=picture, full_page=scene.whole, animations="disabled")
    finally:
        visitor.close()
        demo.mend()


@contextmanager
def prepared(with_clerk: bool) -> Iterator[Demo]:
    """Give a server to look at."""
    with (
        tempfile.TemporaryDirectory(prefix="clawdeploy-screenshots-") as data,
        closing(ClerkDemo(Path(data)) if with_clerk else Demo(LiveSite(Path(data)))) as demo,
    ):
        demo.prepare()
        yield demo


def take_all(browser: Browser, scenes: list[Scene], folder: Path) -> int:
    """Take the pictures of scenes of one server, and return how many scenes could not be reached."""
    if not scenes:
        return 0
    failed = 0
    with prepared(scenes[0].with_clerk) as demo:
        # Once each, so that the account page does not show a session for every picture.
        kept = {scene.user: signed_in(browser, demo, scene.user) for scene in scenes if scene.user}
        for scene in scenes:
            try:
                take(browser, demo, scene, kept[scene.user] if scene.user else None, folder)
            except (AssertionError, BrowserError) as error:
                failed += 1
                sys.stderr.write(f"{scene.name} could not be reached: {error}\n")
    return failed


def main(folder: Path, names: list[str]) -> None:
    """Take all pictures that are asked for; one that cannot be taken does not keep the others from it."""
    if names == ["--list"]:
        sys.stdout.write("".join(f"{scene.name}\n" for scene in ALL))
        return
    scenes = choose(names)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, closing(launch(playwright)) as browser:
        failed = sum(
            take_all(browser, [scene for scene in scenes if scene.with_clerk is with_clerk], folder)
            for with_clerk in (False, True)
        )
    sys.stdout.write(f"{(len(scenes) - failed) * len(SIZES) * len(SCHEMES)} pictures are in {folder}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    run(lambda: main(Path(sys.argv[1]), sys.argv[2:]))
