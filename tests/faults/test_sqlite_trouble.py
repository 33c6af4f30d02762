"""SQLite's file is locked, its disk is full or fails, and somebody moves, replaces or removes it."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from clawdeploy.core.testing import eventually
from tests.faults.crowd import crowd
from tests.faults.site import Site
from tests.faults.troubles import away, full, locked, replaced

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

Record = Callable[[str, object], None]

LASTS = 12.0
"""Longer than a claim and the lease hold without being renewed, and longer than a writer waits for another."""
DISK = 8 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a small file system of the test's own, in memory."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "clawdeploy-tests", mounted], check=True)
    yield mounted
    subprocess.run(["umount", "--lazy", mounted], check=True)


@pytest.fixture
def file(disk: Path) -> Path:
    return disk / "clawdeploy.db"


@pytest.fixture
def site(tmp_path: Path, file: Path) -> Iterator[Site]:
    made = Site(tmp_path, DATABASE_URL=f"sqlite:///{file}")
    yield made
    made.close()


Trouble = Callable[[Path], AbstractContextManager[None]]


@pytest.mark.prove
@pytest.mark.parametrize("trouble", [locked, full, away, replaced])
def test_whatever_happens_to_its_file(
    site: Site, file: Path, trouble: Trouble, seed: int, record_property: Record
) -> None:
    measured = site.endures(trouble(file), LASTS, seed)
    record_property(trouble.__name__, measured)
    assert measured["refused"] > 0
    if trouble in (locked, full):
        # Nothing keeps it from being read. One read a minute waits for the note of when its token was used.
        assert not [asked for asked in site.asked if asked.reads and asked.status == 503]


def test_what_was_there_is_not_begun_anew(site: Site, file: Path) -> None:
    """A server process that is replaced, after somebody has removed the database, makes no new one."""
    bot = site.create()
    lost = min(site.served.ready(2))
    for each in file.parent.glob("clawdeploy.db*"):
        each.unlink()
    assert site.call("GET", "/api/instances").status == 503
    assert site.call("POST", f"/api/instances/{bot}/stop").status == 503
    os.kill(lost, signal.SIGKILL)
    assert eventually(lambda: "is empty or not there" in site.served.log.read_text(), 20)
    assert site.call("GET", "/api/instances").status == 503
    assert not file.exists()
    assert site.containers() == {bot: "running"}


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system on a disk, in a file."""
    mounted, image = tmp_path / "mounted", tmp_path / "image"
    mounted.mkdir()
    with image.open("wb") as blank:
        blank.truncate(4 * DISK)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
    yield mounted
    subprocess.run(["umount", "--lazy", mounted], check=True)


@pytest.mark.prove
def test_a_disk_that_fails_loses_no_promise(
    tmp_path: Path, failing_disk: Path, seed: int, record_property: Record
) -> None:
    """A file system with an error can only be read, and has to be mounted anew; so the server starts anew, too."""
    site = Site(tmp_path, DATABASE_URL=f"sqlite:///{failing_disk / 'clawdeploy.db'}")
    try:
        site.create()
        with crowd(site, seed):
            subprocess.run(["mount", "-o", "remount,abort", failing_disk], check=True)
            assert eventually(lambda: sum(asked.status == 503 for asked in site.asked) > 10, 60)
        assert [asked for asked in site.asked if asked.wrong] == []
        site.served.kill()
        assert eventually(lambda: _mounted_anew(tmp_path / "image", failing_disk), 20)
        site.served.start()
        record_property("settled_after", site.settles())
        site.cycle()
    finally:
        site.close()


@pytest.mark.prove
def test_while_its_disk_cannot_be_written_a_server_process_is_tried_again(
    tmp_path: Path, disk: Path, file: Path
) -> None:
    site = Site(tmp_path, DATABASE_URL=f"sqlite:///{file}", WORKERS="1")
    try:
        bot = site.create()
        site.served.process.send_signal(signal.SIGSTOP)
        for pid in site.served.workers():
            os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: _succeeds("mount", "-o", "remount,ro", disk), 10)
        site.served.process.send_signal(signal.SIGCONT)
        assert eventually(lambda: "A server process cannot start" in site.served.log.read_text(), 20)
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert eventually(lambda: "could start again" in site.served.log.read_text(), 40)
        assert list(site.listed()) == [bot]
        site.cycle()
    finally:
        site.close()


def _succeeds(*command: str | Path) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _mounted_anew(image: Path, mounted: Path) -> bool:
    """Try to; it stays as it is while anybody has the file system open, such as a container that starts just now."""
    _succeeds("umount", mounted)
    return _succeeds("mount", "-o", "loop", image, mounted) and _succeeds("touch", mounted / "probe")
