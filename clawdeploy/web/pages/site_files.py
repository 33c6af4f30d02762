"""What search engines and browsers ask every site for."""

import falcon

from clawdeploy.core.config import Config
from clawdeploy.core.settings import browser_origin
from clawdeploy.web.request import Request
from clawdeploy.web.templating import STATIC

A_DAY = "public, max-age=86400"


class Robots:
    """``/robots.txt``: only the landing page is for search engines."""

    def __init__(self, config: Config) -> None:
        self._text = f"""User-agent: *
Disallow: /api/
Disallow: /dashboard
Disallow: /sign-in/

Sitemap: {browser_origin(config)}/sitemap.xml
"""

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say what may be read by programs that read everything."""
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = self._text

    on_head = on_get


class Sitemap:
    """``/sitemap.xml``: the one page that there is for everybody."""

    def __init__(self, config: Config) -> None:
        self._text = f"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc>{browser_origin(config)}/</loc></url>
</urlset>
"""

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """List the pages for everybody."""
        resp.content_type = falcon.MEDIA_XML
        resp.text = self._text

    on_head = on_get


class Icon:
    """An icon at an address that browsers and phones try without being told to, such as ``/favicon.ico``."""

    def __init__(self, file: str) -> None:
        self._bytes = (STATIC / file).read_bytes()
        self._type = "image/x-icon" if file.endswith(".ico") else falcon.MEDIA_PNG

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Give the picture."""
        resp.content_type = self._type
        resp.set_header("Cache-Control", A_DAY)
        resp.data = self._bytes

    on_head = on_get
