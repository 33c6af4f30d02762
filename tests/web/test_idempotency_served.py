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
AT_ONCE = 12


def test_the_same_request_at_the_same_instant_makes_one_bot(tmp_path: Path, database_url: str) -> None:
    with closing(Served(tmp_path, WORKERS="4", DATABASE_URL=database_url)) as served:
        together = threading.Barrier(AT_ONCE)

        def send(key: str) -> Answer:
            together.wait(30)
            return served.call("POST", "/api/instances", GOOD, Content_Type="application/json", Idempotency_Key=key)

        for number in range(5):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                answers = list(pool.map(send, [f"key-{number}"] * AT_ONCE))
            assert {answer.status for answer in answers} <= {201, 409}
            (body,) = {answer.body for answer in answers if answer.status == 201}
            refused = [answer.problem()["code"] for answer in answers if answer.status == 409]
            assert set(refused) <= {"idempotency_in_flight"}
            listed = json.loads(served.call("GET", "/api/instances").body)["instances"]
            assert (len(listed), listed[0]["id"]) == (number + 1, json.loads(body)["instance"]["id"])
