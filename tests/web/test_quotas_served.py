"""The limits of creations with several server processes: exact, and never more at the engine than may be."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from tests.platforms import GOOD
from tests.web.serving import Answer, Served

pytestmark = pytest.mark.system

MOST = 25
AT_ONCE = 30
REFUSED = f"You have {MOST} bots, and each user may have {MOST} bots on this server. Delete one to make another."


@pytest.mark.parametrize("there", [0, pytest.param(10, marks=pytest.mark.prove)])
def test_of_thirty_at_once_through_two_workers_as_many_are_made_as_may_be(
    tmp_path: Path, database_url: str, there: int
) -> None:
    settings = {"DATABASE_URL": database_url, "WORKERS": "2", "MAX_INSTANCES_PER_USER": str(MOST), "WAIT_SECONDS": "0"}
    with closing(Served(tmp_path, **settings)) as served:
        together = Barrier(AT_ONCE)

        def create(number: int) -> Answer:
            if number >= 0:
                together.wait(30)
            body = json.dumps({**GOOD, "name": f"bot {number}"}).encode()
            return served.call("POST", "/api/instances", body, Content_Type="application/json")

        assert {create(-1).status for _ in range(there)} <= {201}
        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(create, range(AT_ONCE)))
        statuses = Counter(answer.status for answer in answers)
        assert statuses == {201: MOST - there, 409: AT_ONCE - MOST + there}
        assert {answer.problem()["detail"] for answer in answers if answer.status == 409} == {REFUSED}
        listed = json.loads(served.call("GET", "/api/instances?limit=100").body)["instances"]
        assert len(listed) == MOST
        made = {json.loads(answer.body)["instance"]["id"] for answer in answers if answer.status == 201}
        assert made <= {each["id"] for each in listed}
