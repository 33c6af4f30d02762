"""Clients that use a site without a pause."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.web.serving import Served

if TYPE_CHECKING:
    from tests.faults.site import Site

MOST_BOTS = 3
CREATES_EVERY = 1.5
"""Seconds between two tries of one client, because each may be carried out although nobody was told so."""
READS = ("/api/instances", "/dashboard", "/api/instances/{}", "/dashboard/instances/{}", "/api/instances/{}/activity")


@contextmanager
def crowd(site: "Site", seed: int, changing: int = 3, reading: int = 3) -> Iterator[None]:
    """Have clients look and change without a pause while the block runs."""
    over = threading.Event()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        by = site.servers[number % len(site.servers)]
        mine: list[str] = []
        next_create = 0.0
        try:
            while not over.wait(0.05):
                if number >= changing:
                    _read(site, chance, by)
                elif len(mine) < MOST_BOTS and time.monotonic() > next_create:
                    next_create = time.monotonic() + CREATES_EVERY
                    mine += filter(None, [site.try_("create", by=by)])
                elif mine:
                    _change(site, chance, mine, by)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(changing + reading)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert failures == []


def _change(site: "Site", chance: random.Random, mine: list[str], by: Served) -> None:
    bot = chance.choice(mine)
    action = chance.choice(("stop", "start") * 4 + ("delete",))
    site.try_(action, bot, by)
    if action == "delete":
        # Whether it was promised or not: what is gone cannot be asked for anything.
        mine.remove(bot)


def _read(site: "Site", chance: random.Random, by: Served) -> None:
    path = chance.choice(READS)
    if "{}" in path:
        known = list(site.wished.bots)
        if not known:
            return
        path = path.format(chance.choice(known))
    site.call("GET", path, by=by, **({"Accept": "text/html"} if path.startswith("/dashboard") else {}))
