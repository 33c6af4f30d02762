"""The settings of Clerk sign-in, read together: what they mean, and which of them cannot be."""

import base64
import binascii
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from clawdeploy.core.config import Config, Misplaced, Setting
from clawdeploy.core.contracts import Secret
from clawdeploy.core.errors import ConfigurationError
from clawdeploy.core.setting_values import flag, names, origin
from clawdeploy.core.settings import PUBLIC_ORIGIN, browser_origin
from clawdeploy.plugins.clerk.publishable_key import PublishableKey, publishable_key, why_not_public

LEAST_BITS = 2048


def pem(text: str) -> RSAPublicKey:
    """Read a public key in PEM, also one whose line ends were lost or are written as backslash and n."""
    found = re.search(r"-----BEGIN PUBLIC KEY-----(.*)-----END PUBLIC KEY-----", text.replace("\\n", "\n"), re.DOTALL)
    if "PRIVATE KEY" in text:
        raise Misplaced("that is a private key, which does not belong here: the public one is needed")
    malformed = ValueError(
        "it must be an RSA public key in PEM, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----"
    )
    try:
        key = load_der_public_key(base64.b64decode(re.sub(r"\s", "", found[1]), validate=True)) if found else None
    except (binascii.Error, ValueError, TypeError):
        raise malformed from None
    if not isinstance(key, RSAPublicKey):
        raise malformed
    if key.key_size < LEAST_BITS:
        raise ValueError(f"an RSA key needs {LEAST_BITS} bits, this one has {key.key_size}")
    return key


def frontend_api(text: str) -> str:
    """Read the address of a Frontend API: an origin, or a host that is reached by https."""
    return origin(text if "://" in text else f"https://{text}")


def version(text: str) -> str:
    """Read the version of a script, as npm writes it."""
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.-]*", text):
        raise ValueError("it must be a version such as 6 or 6.1.0")
    return text


def signing_secret(text: str) -> Secret:
    """Read the signing secret of a webhook endpoint; never shows it."""
    try:
        decoded = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not text.startswith("whsec_") or len(decoded) < 16:
        raise ValueError("it must look like whsec_..., as the page of the endpoint in Clerk's dashboard shows it")
    return Secret(text)


PUBLISHABLE_KEY: Setting[PublishableKey | None] = Setting(
    "CLERK_PUBLISHABLE_KEY",
    publishable_key,
    None,
    "Publishable key of a Clerk instance. With it people sign in with Clerk, and with nothing else.",
)
AUTHORIZED_PARTIES: Setting[tuple[str, ...]] = Setting(
    "CLERK_AUTHORIZED_PARTIES",
    names,
    (),
    "Origins, comma-separated, whose pages may use a session of Clerk here: that of this server, as browsers write it.",
)
JWT_KEY: Setting[RSAPublicKey | None] = Setting(
    "CLERK_JWT_KEY",
    pem,
    None,
    "Public key (PEM) that all tokens are checked with, instead of those that the Frontend API publishes. A rotation "
    "of Clerk's keys then needs a new value and a restart.",
)
FRONTEND_API = Setting(
    "CLERK_FRONTEND_API",
    frontend_api,
    "",
    "Where the Frontend API is reached instead of at the host that the publishable key names; for tests only.",
)
STAGING = Setting(
    "CLERK_STAGING",
    flag,
    False,
    "Whether a server with an https origin may use a development instance (`pk_test_`), as one for trials does.",
)
JS_VERSION = Setting("CLERK_JS_VERSION", version, "6", "Version of clerk-js that pages load from the Frontend API.")
UI_VERSION = Setting("CLERK_UI_VERSION", version, "1", "Version of Clerk's components that pages load from there.")
WEBHOOK_SECRET: Setting[Secret | None] = Setting(
    "CLERK_WEBHOOK_SIGNING_SECRET",
    signing_secret,
    None,
    "Signing secret of a webhook endpoint at `/api/clerk/webhook`: when a user is deleted at Clerk, so are that user's "
    "bots, secrets and API tokens. Without it there is no such address.",
    secret=True,
)

SETTINGS: tuple[Setting[Any], ...] = (
    PUBLISHABLE_KEY,
    AUTHORIZED_PARTIES,
    JWT_KEY,
    FRONTEND_API,
    STAGING,
    JS_VERSION,
    UI_VERSION,
    WEBHOOK_SECRET,
)
MEANINGLESS_ALONE: tuple[Setting[Any], ...] = (AUTHORIZED_PARTIES, JWT_KEY, FRONTEND_API, WEBHOOK_SECRET)


@dataclass(frozen=True)
class ClerkSettings:
    """All that Clerk sign-in has to know. ``frontend_api`` and ``origin`` (of this server) are origins."""

    key: PublishableKey
    parties: frozenset[str]
    frontend_api: str
    origin: str
    jwt_key: RSAPublicKey | None
    js_version: str
    ui_version: str
    webhook_secret: Secret | None

    @property
    def issuers(self) -> frozenset[str]:
        """Who may have issued a token: one, unless the Frontend API is reached elsewhere, which is so in tests only."""
        return frozenset((self.key.issuer, self.frontend_api))


def read(config: Config) -> ClerkSettings | None:
    """Return the settings, ``None`` when Clerk is not used; raises ``ConfigurationError`` for what cannot be."""
    key = config[PUBLISHABLE_KEY]
    if key is None:
        for setting in MEANINGLESS_ALONE:
            if config[setting]:
                raise ConfigurationError(f"{setting.name} is set, but {PUBLISHABLE_KEY.name} is not. Set both or none.")
        return None
    parties = config[AUTHORIZED_PARTIES]
    _check_parties(parties)
    is_https = config[PUBLIC_ORIGIN].startswith("https:")
    if is_https:
        _check_production(config, key)
    elif key.live and config[PUBLIC_ORIGIN] and not _is_loopback(config[PUBLIC_ORIGIN]):
        raise ConfigurationError(
            f"{PUBLIC_ORIGIN.name} must begin with https:// for a production instance of Clerk (pk_live_)."
        )
    return ClerkSettings(
        key=key,
        parties=frozenset(parties),
        frontend_api=config[FRONTEND_API] or key.issuer,
        origin=browser_origin(config),
        jwt_key=config[JWT_KEY],
        js_version=config[JS_VERSION],
        ui_version=config[UI_VERSION],
        webhook_secret=config[WEBHOOK_SECRET],
    )


def _check_parties(parties: tuple[str, ...]) -> None:
    name = AUTHORIZED_PARTIES.name
    if not parties:
        raise ConfigurationError(
            f"{name} is empty: set it to the origin of this server, as in https://bots.example.org."
        )
    for party in parties:
        try:
            usual = origin(party)
        except ValueError as error:
            raise ConfigurationError(
                f"{name} holds {party[:100]!r}, which is no origin: {error}. There is no sign for all of them."
            ) from None
        if usual != party:
            raise ConfigurationError(
                f"{name} holds {party[:100]!r}, but browsers write an origin without a path, in small letters, and "
                f"without the usual port: {usual}."
            )


def _check_production(config: Config, key: PublishableKey) -> None:
    """Refuse what may be right on a developer's machine, and is a hole in a server that others reach."""
    public, parties = config[PUBLIC_ORIGIN], config[AUTHORIZED_PARTIES]
    if config[FRONTEND_API] and config[FRONTEND_API] != key.issuer:
        raise ConfigurationError(f"{FRONTEND_API.name} must not replace the host of the publishable key in production.")
    if not key.live and not config[STAGING]:
        raise ConfigurationError(
            f"{PUBLISHABLE_KEY.name} is that of a development instance (pk_test_), but {PUBLIC_ORIGIN.name} is https. "
            f"Use the key of the production instance (pk_live_), or set {STAGING.name}=yes for a server for trials."
        )
    for party in parties:
        if not party.startswith("https:"):
            raise ConfigurationError(f"{AUTHORIZED_PARTIES.name} holds {party}; in production only https will do.")
    if public not in parties:
        raise ConfigurationError(f"{AUTHORIZED_PARTIES.name} must hold {public}, which is {PUBLIC_ORIGIN.name}.")
    if why := why_not_public(key.host):
        raise ConfigurationError(f"{PUBLISHABLE_KEY.name} names the Frontend API {key.host}, which {why}.")


def _is_loopback(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
