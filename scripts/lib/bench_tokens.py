"""Measure what it costs to check a session token of Clerk, beside the bare check of its RSA signature."""

import base64
import os
import sys
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from figures import table

from clawdeploy.core.contracts import Credentials, SignIn
from clawdeploy.plugins.clerk.identities import ClerkSessions
from clawdeploy.plugins.clerk.keys import PublishedKeys
from tests.plugins.clerk.frontend_api import Instance
from tests.plugins.clerk.surroundings import given

TOKENS = 200


def measure(check: Callable[[], object]) -> float:
    """Return how many milliseconds of the processor a check takes, on average over many."""
    began = time.thread_time()
    for _ in range(TOKENS):
        check()
    return (time.thread_time() - began) * 1000 / TOKENS


def main(rounds: int) -> None:
    """Measure a token in the header, and one in each of the two pairs of cookies that browsers send."""
    instance = Instance()
    settings = given(instance)
    keys = PublishedKeys(lambda _: {instance.kid: instance.key.public_key()})
    sessions = ClerkSessions(settings, keys, SignIn())
    token, key = instance.token(), instance.key.public_key()
    signed, _, last = token.rpartition(".")
    signature = base64.urlsafe_b64decode(last + "==")
    names = ("", f"_{settings.key.suffix}")
    cookies = {f"{name}{end}": value for end in names for name, value in (("__session", token), ("__client_uat", "1"))}
    checks: dict[str, Callable[[], object]] = {
        "RSA alone": lambda: key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256()),
        "header": lambda: sessions.authenticate(Credentials({"authorization": f"Bearer {token}"}, {})),
        "cookies": lambda: sessions.authenticate(Credentials({}, cookies)),
    }
    # They take turns, so that all meet the same machine.
    times: dict[str, list[float]] = {name: [] for name in checks}
    for _ in range(rounds):
        for name, check in checks.items():
            times[name].append(measure(check))
    sys.stdout.write(f"{rounds} rounds of {TOKENS} tokens each, RSA of {key.key_size} bits, {os.cpu_count()} CPUs\n")
    sys.stdout.write(table("ms of processor time", times))


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
