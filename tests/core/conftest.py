"""Fixtures of the core's tests. Whatever touches data runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdeploy.core.platform import Platform
from tests.core.plain_blueprint import Journal, Plain
from tests.core.surroundings import Surroundings


@pytest.fixture
def surroundings(tmp_path: Path, migrated_url: str) -> Iterator[Surroundings]:
    """Give an empty database of each kind in turn, with a data folder and an engine."""
    surroundings = Surroundings(tmp_path, migrated_url)
    yield surroundings
    surroundings.close()


@pytest.fixture
def platform(surroundings: Surroundings) -> Platform:
    """Give a platform on the memory runtime."""
    return surroundings.open()


@pytest.fixture
def journal(surroundings: Surroundings) -> Journal:
    """Give the memory runtime, remembering what was done to containers."""
    return Journal(surroundings.memory)


@pytest.fixture
def plain_platform(surroundings: Surroundings, journal: Journal) -> Platform:
    """Give a platform on a runtime that remembers, with a blueprint that passes on what it is told."""
    return surroundings.open(journal, plugins={"plain": Plain()})
