"""Fetching the keys that a Frontend API publishes: bounded in time and size, and only what can be used is kept."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from threading import Timer
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import RSAAlgorithm

PATH = "/.well-known/jwks.json"
CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0
MOST_BYTES = 64 * 1024
LEAST_BITS = 2048
MOST_BITS = 16384
"""More than that OpenSSL does not check."""


class FetchFailed(Exception):
    """The keys could not be had; the message says why, for the operator.

    ``old`` are keys that were fetched before, ``age`` seconds ago, by whatever process.
    """

    def __init__(self, why: str, old: Mapping[str, RSAPublicKey] = MappingProxyType({}), age: float = 0.0) -> None:
        super().__init__(why)
        self.old = old
        self.age = age


def fetch(origin: str) -> dict[str, RSAPublicKey]:
    """Return the keys that are published at an origin, by their ``kid``; at least one.

    Takes ``CONNECT_SECONDS`` and ``READ_SECONDS`` at most, besides looking the host up. Raises ``FetchFailed``.
    """
    try:
        document = json.loads(_download(origin))
    except (OSError, http.client.HTTPException) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}"[:200]) from None
    except (ValueError, RecursionError):
        raise FetchFailed("the answer is no JSON") from None
    keys: dict[str, RSAPublicKey] = {}
    for kid, key in usable(document):
        keys.setdefault(kid, key)
    if not keys:
        raise FetchFailed(f"the answer holds no RSA key of {LEAST_BITS} bits for signatures")
    return keys


def _download(origin: str) -> bytes:
    """Return the whole answer. Redirects are not followed, and proxies of the environment not used."""
    parts = urlsplit(origin)
    host, is_https = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)
    connection = http.client.HTTPSConnection(host, port) if is_https else http.client.HTTPConnection(host, port)
    opened = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
    opened.settimeout(READ_SECONDS)
    if is_https:
        opened = ssl.create_default_context().wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
    connection.sock = opened
    # A timeout of the socket is one for each piece, and whoever sends a byte at a time never comes to it.
    ends = time.monotonic() + READ_SECONDS
    over = Timer(READ_SECONDS, _cut, [opened])
    over.daemon = True
    over.start()
    try:
        if isinstance(opened, ssl.SSLSocket):
            opened.do_handshake()
        connection.request("GET", PATH, headers={"Accept": "application/json", "Accept-Encoding": "identity"})
        with connection.getresponse() as answer:
            if answer.status != http.client.OK:
                raise FetchFailed(f"the answer is {answer.status}")
            body = answer.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise FetchFailed(f"the answer is longer than {MOST_BYTES} bytes")
        if time.monotonic() < ends:
            return body
        raise TimeoutError
    except (OSError, http.client.HTTPException):
        if time.monotonic() < ends:
            raise
        # That the connection broke was our own doing.
        raise FetchFailed(f"the answer took longer than {READ_SECONDS:.0f} s") from None
    finally:
        over.cancel()
        connection.close()
        opened.close()


def _cut(opened: socket.socket) -> None:
    try:
        opened.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def usable(document: Any) -> Iterator[tuple[str, RSAPublicKey]]:
    """Yield the keys of a published document that signatures can be checked with, with their names."""
    members = document.get("keys") if isinstance(document, dict) else None
    for jwk in members if isinstance(members, list) else []:
        if not isinstance(jwk, dict) or jwk.get("kty") != "RSA" or jwk.get("use", "sig") != "sig":
            continue
        kid = jwk.get("kid")
        if jwk.get("alg", "RS256") != "RS256" or not isinstance(kid, str) or not kid:
            continue
        if "key_ops" in jwk and not (isinstance(jwk["key_ops"], list) and "verify" in jwk["key_ops"]):
            continue
        try:
            # Only what makes a public key: with more in it the library would return a private one.
            key = RSAAlgorithm.from_jwk({name: jwk.get(name) for name in ("kty", "n", "e")})
        except (PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if isinstance(key, RSAPublicKey) and LEAST_BITS <= key.key_size <= MOST_BITS:
            yield kid, key
