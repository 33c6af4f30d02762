"""Fixtures of the core's tests. Whatever touches data runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdeploy.core.platform import Platform
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
