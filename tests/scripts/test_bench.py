"""``scripts/bench``: it measures, says what it measured, and leaves nothing behind."""

import subprocess

import pytest

from tests.scripts.fresh_machine import CHECKOUT

pytestmark = [pytest.mark.system, pytest.mark.engine]

BENCH = CHECKOUT / "scripts/bench"


@pytest.mark.prove
def test_create_is_measured_beside_the_bare_engine() -> None:
    done = subprocess.run([BENCH, "create", "--rounds", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for row in ("2 rounds", "POST to running", "bare create and start", "ratio of the medians"):
        assert row in done.stdout
    # Only the measurement's own ports: somebody's bots may be running on this machine.
    left = ["docker", "ps", "--quiet", "--filter=publish=21000-21999"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.prove
@pytest.mark.browser
def test_pages_are_measured_in_a_browser() -> None:
    done = subprocess.run([BENCH, "pages", "--rounds", "1"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    figures = {line[:40].strip(): line[40:].split() for line in done.stdout.splitlines()[2:]}
    assert list(figures) == [
        "dashboard of 100 bots: first byte",
        "dashboard of 100 bots: bots seen",
        "page of a bot: first byte",
        "page of a bot: 1000 log lines seen",
    ]
    assert all(0 < float(each) < 10_000 for figure in figures.values() for each in figure)


@pytest.mark.prove
@pytest.mark.browser
def test_logs_are_measured_on_the_real_engine() -> None:
    done = subprocess.run([BENCH, "logs", "--rounds", "1"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    figures = {line[:40].strip(): line[40:].split() for line in done.stdout.splitlines()[2:]}
    assert list(figures) == ["page of a bot: first byte", "page of a bot: last of 1000 lines seen"]
    assert all(0 < float(each) < 10_000 for figure in figures.values() for each in figure)


@pytest.mark.prove
def test_that_somebody_ends_a_bot_is_seen_at_once() -> None:
    done = subprocess.run([BENCH, "detection", "--rounds", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()[-2:]}
    assert list(figures) == ["docker kill", "docker rm -f"]
    assert all(0 < float(each) < 10 for figure in figures.values() for each in figure)


@pytest.mark.prove
def test_tokens_are_measured_beside_the_bare_signature() -> None:
    done = subprocess.run([BENCH, "tokens", "--rounds", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()[2:]}
    assert list(figures) == ["RSA alone", "header", "cookies"]
    assert all(0 < float(each) < 100 for figure in figures.values() for each in figure)


@pytest.mark.prove
@pytest.mark.postgres
def test_a_sync_of_a_thousand_bots_is_measured_on_both_databases() -> None:
    done = subprocess.run([BENCH, "sync", "--rounds", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()[-2:]}
    assert list(figures) == ["SQLite", "PostgreSQL"]
    assert all(0 < float(each) < 100 for figure in figures.values() for each in figure)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say what to measure: scripts/bench create, pages, logs, sync, detection, tokens or lighthouse\n"),
        (["sleep"], "sleep is nothing that this script measures; --help shows what it does.\n"),
        (["lighthouse", "--phone"], "--phone is not an option of this script; --help shows those it has.\n"),
        (["create", "--rounds", "few"], "--rounds needs a whole number from 1 to 9999.\n"),
    ],
)
def test_wrong_arguments_get_one_sentence(arguments: list[str], sentence: str) -> None:
    done = subprocess.run([BENCH, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr == sentence
