"""The needed part of Clerk's Frontend API, on a port of this machine: keys, handshakes, tokens, sign-in, scripts.

It signs with real keys, which it can rotate. It can hang, fail, flood, drip and redirect.
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

SESSION_CATEGORY = "cl_B7d4PD111AAA"
GONE = "; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
SHIM = Path(__file__).with_name("clerk_shim.js")
"""In place of clerk-js, which is not ours to ship: the same names, and what they do as far as pages can tell."""
PATH_OF_KEYS = "/.well-known/jwks.json"
ABSENT: Any = object()
"""Leaves a member out of a token."""

Mood = Literal["well", "fails", "hangs", "floods", "drips", "redirects", "lies", "empty"]


def new_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return a fresh key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Return the public half as the dashboard shows it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def jwk(key: rsa.RSAPrivateKey, kid: str, **changes: Any) -> dict[str, Any]:
    """Return the public half as it is published."""
    members = {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": "RS256"}
    return {name: value for name, value in {**members, **changes}.items() if value is not ABSENT}


class Instance:
    """One instance of Clerk: its keys and what it signs. ``origin`` is that of the application."""

    def __init__(
        self,
        host: str = "clerk.example.org",
        *,
        live: bool = True,
        origin: str = "https://bots.example.org",
        key: rsa.RSAPrivateKey | None = None,
    ) -> None:
        encoded = base64.b64encode(f"{host}$".encode()).decode()
        self.publishable_key = f"pk_{'live' if live else 'test'}_{encoded}"
        self.issuer = f"https://{host}"
        self.origin = origin
        self.kid = "ins_1"
        self.key = key or new_key()
        self.published = [jwk(self.key, self.kid)]

    def rotate(self, kid: str | None = None) -> None:
        """Sign with a fresh key from now on, and publish no other; under the old name when none is given."""
        self.key, self.kid = new_key(), kid or self.kid
        self.published = [jwk(self.key, self.kid)]

    def token(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        key: Any = None,
        algorithm: str = "RS256",
        age: float = 0,
        **claims: Any,
    ) -> str:
        """Return a session token; ``ABSENT`` leaves a member out. ``age`` is how many seconds ago it was made."""
        now = int(time.time() - age)
        usual: dict[str, Any] = {
            "azp": self.origin,
            "exp": now + 60,
            "iat": now,
            "iss": self.issuer,
            "jti": "0123456789",
            "nbf": now - 10,
            "sid": "sess_1",
            "sts": "active",
            "sub": "user_ann",
            "v": 2,
            "fva": [1, -1],
        }
        return self.sign({**usual, **claims}, header=header, key=key, algorithm=algorithm)

    def sign(
        self, claims: Mapping[str, Any], *, header: Mapping[str, Any] | None = None, key: Any = None, algorithm: str
    ) -> str:
        """Sign anything."""
        headers = {"kid": self.kid, "typ": "JWT", "cat": SESSION_CATEGORY, **(header or {})}
        return compact(
            {"alg": algorithm, **headers},
            {name: value for name, value in claims.items() if value is not ABSENT},
            self.key if key is None else key,
            algorithm,
        )

    def handshake(self, *directives: Any, **changes: Any) -> str:
        """Return a handshake token that sets these cookies."""
        return self.sign({"handshake": list(directives), **changes}, algorithm="RS256")


def compact(header: Mapping[str, Any], claims: Any, key: Any, algorithm: str = "RS256") -> str:
    """Return a signed token of any header and claims, also those that no library would write."""
    written = {name: value for name, value in header.items() if value is not ABSENT}
    signed = f"{encode(json.dumps(written).encode())}.{encode(json.dumps(claims).encode())}"
    implementation = jwt.PyJWS().get_algorithm_by_name(algorithm)
    return f"{signed}.{encode(implementation.sign(signed.encode(), implementation.prepare_key(key)))}"


def encode(value: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class FrontendApi:
    """The server of one instance. ``fetches`` are the times at which its keys were asked for."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.mood: Mood = "well"
        self.fetches: list[float] = []
        self.asked: list[str] = []
        self.person = "user_ann"
        """Who signs in next."""
        self.status = "active"
        """That of all sessions: who has to do something at Clerk first has one that is "pending"."""
        self.clients: dict[str, str] = {}
        """Who is signed in, by the cookie of the browser."""
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End, and let go whoever was left hanging."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def hang(self) -> None:
        """Answer nothing until the server is closed."""
        self._released.wait(20)

    def user_of(self, handler: BaseHTTPRequestHandler) -> str | None:
        """Return who is signed in with the browser that asks."""
        return self.clients.get(_cookie(handler, "__client"))

    def settings(self) -> dict[str, str]:
        """Return the settings of a server that uses this instance."""
        return {
            "CLERK_PUBLISHABLE_KEY": self.instance.publishable_key,
            "CLERK_AUTHORIZED_PARTIES": self.instance.origin,
            "CLERK_FRONTEND_API": self.origin,
        }


def _handler_of(api: FrontendApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            api.asked.append(self.path)
            if path == PATH_OF_KEYS:
                api.fetches.append(time.monotonic())
                _give_keys(self, api)
            elif path == "/v1/client/handshake":
                _shake_hands(self, api, query)
            elif path.startswith("/npm/@clerk/clerk-js@6/"):
                answer(self, 200, SHIM.read_bytes(), Content_Type="text/javascript", Access_Control_Allow_Origin="*")
            elif path.startswith("/npm/@clerk/ui@1/"):
                ui = b"window.__internal_ClerkUICtor = class ClerkUI {};"
                answer(self, 200, ui, Content_Type="text/javascript", Access_Control_Allow_Origin="*")
            elif path == "/v1/client":
                _say(self, {"user": api.user_of(self), "status": api.status})
            else:
                answer(self, 404, b"")

        def do_POST(self) -> None:
            api.asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            origin = self.headers.get("Origin") or ""
            if self.path == "/v1/client/sign_ins":
                name = secrets.token_hex(8)
                api.clients[name] = api.person
                said = {"user": api.person, "status": api.status}
                _say(self, said, Set_Cookie=f"__client={name}; Path=/; HttpOnly; SameSite=Lax")
            elif self.path == "/v1/client/sessions/remove":
                api.clients.pop(_cookie(self, "__client"), None)
                _say(self, {"user": None})
            elif self.path == "/v1/client/sessions/tokens":
                user = api.user_of(self)
                _say(self, {"jwt": api.instance.token(sub=user, azp=origin, sts=api.status) if user else None})
            else:
                answer(self, 404, b"")

    return Handler


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def _give_keys(handler: BaseHTTPRequestHandler, api: FrontendApi) -> None:
    good = json.dumps({"keys": api.instance.published}).encode()
    moods: dict[Mood, Callable[[], None]] = {
        "well": lambda: answer(handler, 200, good, Content_Type="application/json"),
        "fails": lambda: answer(handler, 500, b"{}"),
        "hangs": api.hang,
        "floods": lambda: answer(handler, 200, good + b" " * 70_000),
        "drips": lambda: _drip(handler, good),
        "redirects": lambda: answer(handler, 302, good, Location=f"{api.origin}{PATH_OF_KEYS}?again"),
        "lies": lambda: answer(handler, 200, b"<html>"),
        "empty": lambda: answer(handler, 200, b'{"keys": []}'),
    }
    if "?again" in handler.path:
        answer(handler, 200, good)
    else:
        moods[api.mood]()


def _drip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    try:
        for byte in body:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.2)
    except OSError:
        return


def _cookie(handler: BaseHTTPRequestHandler, name: str) -> str:
    found = SimpleCookie(handler.headers.get("Cookie") or "").get(name)
    return found.value if found else ""


def _say(handler: BaseHTTPRequestHandler, members: Mapping[str, Any], **headers: str) -> None:
    """Answer a script of the application's pages, which comes with its cookies."""
    allowed = {"Access-Control-Allow-Origin": handler.headers.get("Origin") or "", **headers}
    body = json.dumps(members).encode()
    allowed |= {"Access-Control-Allow-Credentials": "true", "Content-Type": "application/json"}
    answer(handler, 200, body, **allowed)


def _shake_hands(handler: BaseHTTPRequestHandler, api: FrontendApi, query: Mapping[str, list[str]]) -> None:
    """Lead back with the cookies of whoever is signed in: in the address for a trial, else in a cookie of its own."""
    back, user, now = query["redirect_url"][0], api.user_of(handler), int(time.time())
    parts = urlsplit(back)
    azp = f"{parts.scheme}://{parts.netloc}"
    directives = (
        f"__session={api.instance.token(sub=user, iat=now, azp=azp, sts=api.status)}; Path=/; SameSite=Lax"
        if user
        else f"__session={GONE}",
        f"__client_uat={now if user else 0}; Path=/; SameSite=Lax",
    )
    if api.instance.publishable_key.startswith("pk_test_"):
        signed = api.instance.handshake(*directives, "__clerk_db_jwt=dvb_1; Path=/; SameSite=Lax")
        joint = "&" if parts.query else "?"
        answer(handler, 307, b"", Location=f"{back}{joint}{urlencode({'__clerk_handshake': signed})}")
    else:
        signed = api.instance.handshake(*directives, f"__clerk_handshake={GONE}")
        answer(handler, 307, b"", Location=back, Set_Cookie=f"__clerk_handshake={signed}; Path=/; HttpOnly")
