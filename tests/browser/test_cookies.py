"""The cookie of a session beside pages of bots, which are at other ports of the same host: in real Chromium.

A bot's page is somebody else's program. The one here does all that it can: it keeps what it is sent, sets cookies of
its own, and sends the browser to whatever name of its host it likes.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, expect

from tests.browser.bot_pages import running
from tests.browser.conftest import MakeSite, Visit
from tests.browser.sites import LiveSite
from tests.web.serving import HOST, free_port

COOKIE = "clawdeploy_session"
ELSEWHERE = "127.0.0.2"
"""Another address that requests can be sent from, in place of that of a container."""


class EvilBot:
    """A bot's page at a port: ``taken`` are the cookies that it was sent, ``cookies`` those that it sets."""

    def __init__(self, address: str, port: int) -> None:
        self.taken: list[str] = []
        self.cookies: list[str] = []
        self.page = "<title>Bot</title><p>I am a bot.</p>"
        bot = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                bot.taken.append(self.headers.get("Cookie", ""))
                self.send_response(200)
                for cookie in bot.cookies:
                    self.send_header("Set-Cookie", cookie)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                # With an icon of its own the page has the browser ask for nothing else.
                self.wfile.write(f'<link rel="icon" href="data:,">{bot.page}'.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((address, port), Page)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


MakeBot = Callable[..., EvilBot]


@pytest.fixture
def make_bot() -> Iterator[MakeBot]:
    with ExitStack() as made:

        def make(address: str = HOST, port: int = 0) -> EvilBot:
            bot = EvilBot(address, port)
            made.callback(bot.close)
            return bot

        yield make


def ask(site: LiveSite, method: str, path: str, sent_from: str, **headers: str) -> http.client.HTTPResponse:
    """Send a request from an address of this machine, with whatever headers a program likes, and return the answer."""
    connection = http.client.HTTPConnection(HOST, site.served.port, source_address=(sent_from, 0), timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize("name", [HOST, "localhost"])
def test_a_bot_is_opened_under_the_name_that_our_pages_do_not_have(
    visit: Visit, site: LiveSite, user: str, make_bot: MakeBot, name: str
) -> None:
    identity = running(site, user)
    bot = make_bot(port=site.instance(user, identity)["port"])
    visitor = visit(site, signed_in=False, base_url=f"http://{name}:{site.served.port}")
    visitor.page.goto(site.sign_in_link(user).replace(HOST, name))
    for place in (f"/dashboard/instances/{identity}", "/dashboard"):
        visitor.page.goto(place)
        with visitor.context.expect_page() as opened:
            visitor.page.locator('a[target="_blank"][rel~="noopener"]').first.click()
        expect(opened.value.get_by_text("I am a bot.")).to_be_visible()
        assert name not in opened.value.url
    assert bot.taken == ["", ""]


def test_what_a_bot_takes_with_force_is_worth_nothing_to_it(
    visit: Visit, site: LiveSite, user: str, make_bot: MakeBot
) -> None:
    bot = make_bot()
    visitor = visit(site)
    bot.page = (
        f"<title>Bot</title><script>if (location.hostname != '{HOST}') location = 'http://{HOST}:{bot.port}/'</script>"
    )
    visitor.page.goto(f"http://localhost:{bot.port}/")
    visitor.page.wait_for_url(f"http://{HOST}:{bot.port}/")
    assert bot.taken[0] == ""
    taken = bot.taken[-1]
    assert taken.startswith(f"{COOKIE}="), "browsers send cookies to every port, or this test shows nothing"
    own = {"Cookie": taken, "Sec_Fetch_Site": "same-origin", "Origin": site.origin}
    assert ask(site, "GET", "/api/instances", ELSEWHERE, **own).status == 401
    assert ask(site, "GET", "/dashboard", ELSEWHERE, Accept="text/html", **own).getheader("Location") == "/"
    assert ask(site, "POST", "/sign-out", ELSEWHERE, **own).status in (303, 401)
    # Where its owner is, it works.
    assert ask(site, "GET", "/api/instances", HOST, **own).status == 200
    visitor.open("/dashboard")
    assert visitor.page.url == f"{site.origin}/dashboard"


@pytest.mark.parametrize("path", ["/", "/dashboard"])
def test_a_bot_signs_nobody_in_to_an_account_of_its_own(
    visit: Visit, site: LiveSite, make_bot: MakeBot, path: str
) -> None:
    link = site.sign_in_link("mallory").removeprefix(site.origin)
    own = ask(site, "GET", link, ELSEWHERE, Sec_Fetch_Site="none").getheader("Set-Cookie", "").partition(";")[0]
    seen = {"Cookie": own, "Accept": "text/html"}
    assert ask(site, "GET", "/dashboard", ELSEWHERE, **seen).status == 200, "mallory is signed in, elsewhere"
    visitor, bot = visit(site), make_bot()
    bot.cookies = [f"{own}; Path={path}; HttpOnly; SameSite=Lax"]
    visitor.page.goto(f"http://{HOST}:{bot.port}/")
    visitor.page.goto("/dashboard")
    assert visitor.page.url == f"{site.origin}/"
    assert "mallory" not in visitor.page.content()


class TestAnothersLink:
    def test_another_site_s_link_asks_first(self, visit: Visit, site: LiveSite, make_bot: MakeBot) -> None:
        stranger, bot = visit(site, signed_in=False, java_script_enabled=False), make_bot()
        bot.page = f'<title>Bot</title><a href="{site.sign_in_link("mallory")}">Free bots</a>'
        stranger.page.goto(f"http://localhost:{bot.port}/")
        stranger.page.get_by_role("link").click()
        expect(stranger.page.get_by_role("heading", name="Sign in as mallory?")).to_be_visible()
        assert [cookie["name"] for cookie in stranger.context.cookies()] == []
        stranger.page.get_by_role("button", name="Sign in as mallory").click()
        stranger.page.wait_for_url(f"{site.origin}/dashboard")
        expect(stranger.page.get_by_text("Signed in as mallory")).to_be_visible()

    def test_the_question_is_a_page_like_any_other(self, visit: Visit, site: LiveSite, make_bot: MakeBot) -> None:
        stranger, bot = visit(site, signed_in=False), make_bot()
        bot.page = f'<title>Bot</title><script>location = "{site.sign_in_link("mallory")}"</script>'
        stranger.page.goto(f"http://localhost:{bot.port}/")
        stranger.page.wait_for_url(f"{site.origin}/sign-in/**")
        stranger.inspect()

    def test_another_site_s_form_is_refused(self, visit: Visit, site: LiveSite, make_bot: MakeBot) -> None:
        stranger, bot = visit(site, signed_in=False), make_bot()
        link = site.sign_in_link("mallory")
        bot.page = (
            f'<title>Bot</title><form method="post" action="{link}"></form><script>document.forms[0].submit()</script>'
        )
        stranger.expect_trouble("^request: POST .*403$")
        stranger.page.goto(f"http://localhost:{bot.port}/")
        stranger.page.wait_for_url(link)
        expect(stranger.page.get_by_text("Error 403")).to_be_visible()
        assert [cookie["name"] for cookie in stranger.context.cookies()] == []

    def test_what_is_fetched_ahead_uses_nothing_up(self, visit: Visit, site: LiveSite, make_bot: MakeBot) -> None:
        stranger, bot = visit(site, signed_in=False), make_bot()
        link = site.sign_in_link("ann")
        bot.page = (
            f'<title>Bot</title><link rel=prefetch href="{link}"><img src="{link}"><iframe src="{link}"></iframe>'
        )
        stranger.forgive("403|Refused|refused|blocked|ERR_BLOCKED")
        stranger.page.goto(f"http://localhost:{bot.port}/", wait_until="networkidle")
        stranger.page.goto(link)
        assert stranger.page.url == f"{site.origin}/dashboard"


# -- https ---------------------------------------------------------------------------------------------------------


def own_address() -> str:
    """Return an address of this machine that is no loopback address, which browsers treat otherwise."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the kernel only says from where it would.
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def certificate(folder: Path, address: str) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ClawDeploy test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "pem"
    unencrypted = serialization.NoEncryption()
    key_bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    pem.write_bytes(key_bytes + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class TlsFront:
    """What stands in front of the server and speaks https: it hands bytes over, and understands none."""

    def __init__(self, address: str, port: int, context: ssl.SSLContext, behind: int) -> None:
        self._listener = socket.create_server((address, port))
        self._context, self._behind = context, behind
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with (
                self._context.wrap_socket(client, server_side=True) as secure,
                socket.create_connection((HOST, self._behind)) as server,
            ):
                back = threading.Thread(target=_hand_over, args=(server, secure), daemon=True)
                back.start()
                _hand_over(secure, server)
                back.join()
        except OSError:
            client.close()

    def close(self) -> None:
        self._listener.close()


def _hand_over(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_with_https_no_bot_gets_the_cookie_or_replaces_it(
    chromium: Browser, make_site: MakeSite, make_bot: MakeBot, tmp_path: Path
) -> None:
    address, port = own_address(), free_port()
    origin = f"https://{address}:{port}"
    site = make_site(PUBLIC_ORIGIN=origin)
    front = TlsFront(address, port, certificate(tmp_path, address), site.served.port)
    bot = make_bot(address)
    name = f"__Host-{COOKIE}"
    bot.cookies = [
        f"{name}=evil; Path=/; Secure; HttpOnly",
        f"{name}=evil; Path=/dashboard",
        f"{COOKIE}=evil; Path=/dashboard",
    ]
    context: Any = chromium.new_context(ignore_https_errors=True)
    try:
        page = context.new_page()
        page.goto(site.sign_in_link("ann").replace(site.origin, origin))
        assert page.url == f"{origin}/dashboard"
        page.goto(f"http://{address}:{bot.port}/")
        page.goto(f"http://{address}:{bot.port}/dashboard")
        assert [taken.partition("=")[0] for taken in bot.taken] == ["", COOKIE], "of our cookies there is none"
        page.goto(f"{origin}/dashboard/account")
        assert page.url == f"{origin}/dashboard/account"
        expect(page.get_by_text("Signed in as ann").first).to_be_visible()
        (kept,) = [cookie for cookie in context.cookies() if cookie["name"] == name]
        assert kept["value"] != "evil"
        assert (kept["secure"], kept["httpOnly"], kept["path"]) == (True, True, "/")
    finally:
        context.close()
        front.close()
