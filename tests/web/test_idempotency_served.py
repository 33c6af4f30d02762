"""The same request at the same instant, to real servers of several processes."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.web.serving import Answer, Served

pytestmark = pytest.mark.system

GOOD = b'{"name": "test", "model": "gpt-5.2", "channel": "telegram"}'


@pytest.mark.parametrize(
    ("rounds", "at_once"), [(5, 12), pytest.param(50, 50, marks=[pytest.mark.prove, pytest.mark.timeout(900)])]
)
def test_the_same_request_at_the_same_instant_makes_one_bot(
    tmp_path: Path, database_url: str, rounds: int, at_once: int
) -> None:
    """As many bots as keys, each with its container, however often each key is sent."""
    with closing(Served(tmp_path, WORKERS="4", DATABASE_URL=database_url)) as served:
        together = threading.Barrier(at_once)

        def send(key: str) -> Answer:
            together.wait(60)
            return served.call("POST", "/api/instances", GOOD, Content_Type="application/json", Idempotency_Key=key)

        made = set()
        for number in range(rounds):
            with ThreadPoolExecutor(at_once) as pool:
                answers = list(pool.map(send, [f"key-{number}"] * at_once))
            assert {answer.status for answer in answers} <= {201, 409}
            (body,) = {answer.body for answer in answers if answer.status == 201}
            refused = [answer.problem()["code"] for answer in answers if answer.status == 409]
            assert set(refused) <= {"idempotency_in_flight"}
            made.add(json.loads(body)["instance"]["id"])
            listed = json.loads(served.call("GET", "/api/instances").body)["instances"]
            assert {one["id"] for one in listed} == made
            assert len(listed) == number + 1
        assert len({one["containerId"] for one in listed if one["containerId"]}) == rounds
