"""``clawdeploy doctor`` says whether anybody can get in, and a server says so when it starts."""

from pathlib import Path

import pytest

from clawdeploy.core.doctor import Check, examine
from clawdeploy.core.opener import Opener
from clawdeploy.web.app import create_app
from tests.plugins.clerk.frontend_api import Instance, public_pem
from tests.plugins.clerk.surroundings import platform_with, serving

HERE = "http://127.0.0.1:8080"


def examined(folder: Path, **environment: str) -> Check:
    opener = Opener({"CLAWDEPLOY_DATA_DIR": str(folder), "CLAWDEPLOY_RUNTIME": "memory", **environment})
    (found,) = (check for check in examine(opener, create_app) if check.name == "sign-in")
    return found


def test_the_doctor_tells_whether_clerks_keys_can_be_had(tmp_path: Path) -> None:
    with serving(Instance(origin=HERE)) as api:
        found = examined(tmp_path, **api.settings())
        assert (found.ok, found.found) == (True, f"Clerk's keys can be fetched from {api.origin}")
        api.mood = "fails"
        found = examined(tmp_path, **api.settings())
        assert not found.ok
        assert f"cannot be fetched from {api.origin}: the answer is 500" in found.found
        given = examined(tmp_path, **api.settings(), CLERK_JWT_KEY=public_pem(api.instance.key))
        assert (given.ok, given.found) == (True, "Clerk's tokens are checked with CLERK_JWT_KEY")
        assert len(api.fetches) == 2
    assert examined(tmp_path) == Check("sign-in", True, "Nothing from elsewhere is needed for it")


def test_a_server_that_is_no_authorized_party_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(Instance(origin="https://bots.example.org")) as api:
        found = examined(tmp_path, **api.settings())
        assert not found.ok
        assert f"Browsers reach this server as {HERE}, which CLERK_AUTHORIZED_PARTIES does not hold" in found.found
        with platform_with(tmp_path, api.settings()) as platform:
            platform.host.startup(platform)
        assert found.found in caplog.text
        caplog.clear()
        with platform_with(tmp_path, api.settings() | {"CLERK_AUTHORIZED_PARTIES": HERE}) as platform:
            platform.host.startup(platform)
        assert "Browsers reach" not in caplog.text
