"""Make the pictures that ship: the product for the landing page, the preview that other sites show, the icons."""

import base64
import struct
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright
from with_chromium import run

from tests.browser.chromium import Scheme, Screen, launch
from tests.browser.sites import ROOT, LiveSite
from tests.browser.visitor import Visitor

MARK = ROOT / "clawdeploy/web/static/mark.svg"
PREVIEW_PAGE = ROOT / "docs/pictures/preview.html"
PREVIEW: ViewportSize = {"width": 1200, "height": 630}
USER = "maria"
CARDS = Screen(512, 900)
TOUCH_ICON = 180
ICON_SIZES = (16, 32, 48)
GROUND = "#c2410c"
"""The colour of the mark, for phones, which round the corners of an icon themselves."""

# Only the cards are on the picture, in their own colours; what is around them lets the page behind it through. The
# canvas of a dark scheme would not.
ONLY_CARDS = ":root { color-scheme: only light !important; } body { background: transparent !important; }"

TO_WEBP = """async (png) => {
    const picture = new Image();
    picture.src = `data:image/png;base64,${png}`;
    await picture.decode();
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    canvas.getContext("2d").drawImage(picture, 0, 0);
    const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.9 });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


def show_product(browser: Browser, site: LiveSite, folder: Path) -> None:
    """Photograph two cards of a real dashboard: a bot that runs, and one that does not, with the reason."""
    crashed = site.create(USER, name="News digest", model="gemini-3-flash", channel="discord")["id"]
    running = site.create(USER, name="Family helper", model="claude-opus-4.5")["id"]
    site.wait_for(USER, running, status="running")
    site.wait_for(USER, crashed, status="running")
    site.engine.order("crash", crashed, 137, True)
    site.wait_for(USER, crashed, status="error")
    visitor = Visitor(browser, site, USER, CARDS, device_scale_factor=2).sign_in()
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        visitor.page.emulate_media(color_scheme=scheme)
        cards = visitor.page.locator(".cards")
        png = cards.screenshot(omit_background=True, animations="disabled", style=ONLY_CARDS)
        webp = visitor.context.new_page().evaluate(TO_WEBP, base64.b64encode(png).decode())
        (folder / f"product-{scheme}.webp").write_bytes(base64.b64decode(webp))
    visitor.close()


def show_preview(browser: Browser, folder: Path) -> None:
    """Photograph the page that stands for a link to ClawDeploy."""
    page = browser.new_page(viewport=PREVIEW)
    page.goto(PREVIEW_PAGE.as_uri())
    page.screenshot(path=folder / "preview.png")
    page.close()


def icon(browser: Browser, size: int, ground: str = "transparent") -> bytes:
    """Return the mark as a square PNG of so many pixels."""
    page = browser.new_page(viewport={"width": size, "height": size})
    mark = base64.b64encode(MARK.read_bytes()).decode()
    page.set_content(
        f'<body style="margin:0;background:{ground}">'
        f'<img width="{size}" height="{size}" style="display:block" src="data:image/svg+xml;base64,{mark}">'
    )
    page.wait_for_function("document.images[0].complete")
    png = page.screenshot(omit_background=True)
    page.close()
    return png


def ico(pictures: dict[int, bytes]) -> bytes:
    """Return a Windows icon file of PNGs by their size in pixels."""
    begin = struct.pack("<3H", 0, 1, len(pictures))
    at = len(begin) + 16 * len(pictures)
    entries = b""
    for size, png in pictures.items():
        entries += struct.pack("<4B2H2I", size, size, 0, 0, 1, 32, len(png), at)
        at += len(png)
    return begin + entries + b"".join(pictures.values())


def main(folder: Path) -> None:
    """Make all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="clawdeploy-pictures-") as data, sync_playwright() as playwright:
        browser = launch(playwright)
        site = LiveSite(Path(data))
        try:
            show_product(browser, site, folder)
        finally:
            site.close()
        show_preview(browser, folder)
        (folder / "apple-touch-icon.png").write_bytes(icon(browser, TOUCH_ICON, GROUND))
        (folder / "favicon.ico").write_bytes(ico({size: icon(browser, size) for size in ICON_SIZES}))
        browser.close()
    sys.stdout.write(f"The pictures are in {folder}\n")


if __name__ == "__main__":
    run(lambda: main(Path(sys.argv[1])))
