"""A server with two processes, as ``clawdeploy serve`` starts it: they fetch keys once for both."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from clawdeploy.core.testing import eventually
from tests.plugins.clerk.frontend_api import FrontendApi, Instance, new_key
from tests.plugins.clerk.surroundings import serving
from tests.web.serving import Served

STRANGER = new_key()


@pytest.fixture
def api() -> Iterator[FrontendApi]:
    with serving(Instance(origin="http://127.0.0.1:8080")) as api:
        yield api


@pytest.fixture
def served(api: FrontendApi, tmp_path: Path) -> Iterator[Served]:
    given: dict[str, Any] = {**api.settings(), "WORKERS": "2", "SIGN_IN_LIMIT": "0"}
    served = Served(tmp_path, **given)
    assert eventually(lambda: len(served.workers()) == 2, within=20)
    yield served
    served.close()


def status(served: Served, token: str) -> int:
    return served.call("GET", "/api/channels", Authorization=f"Bearer {token}").status


@pytest.mark.parametrize("requests", [100, pytest.param(1000, marks=pytest.mark.prove)])
def test_unknown_keys_cause_one_fetch_and_slow_nobody_down(served: Served, api: FrontendApi, requests: int) -> None:
    good = api.instance.token(exp=int(time.time()) + 600)
    assert {status(served, good) for _ in range(20)} == {200}
    assert len(api.fetches) == 1, "what one process fetched when it started the other one read"
    began = time.monotonic()
    took: list[float] = []
    for number in range(requests):
        assert status(served, api.instance.token(header={"kid": f"ins_{number}x"}, key=STRANGER)) == 401
        asked = time.monotonic()
        assert status(served, good) == 200
        took.append(time.monotonic() - asked)
    assert len(api.fetches) - 1 <= 1 + (time.monotonic() - began) // 60
    assert median(took) < 0.2


def test_a_new_key_is_known_to_all_at_once(served: Served, api: FrontendApi) -> None:
    assert {status(served, api.instance.token()) for _ in range(10)} == {200}
    api.instance.rotate("ins_2")
    assert {status(served, api.instance.token()) for _ in range(20)} == {200}
    assert len(api.fetches) == 2
    assert "ready" in served.announced, "and the start tells of no link"
    served.stop()
    assert served.process.stdout is not None
    assert "/sign-in/" not in served.process.stdout.read()
