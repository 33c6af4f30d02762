"""Random operations and faults in any order, against a model of what was promised."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.machine.machine import Machine
from tests.core.machine.world import World

pytestmark = pytest.mark.exhaustive

USUAL = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
)
QUICK = settings(USUAL, max_examples=40, stateful_step_count=30, derandomize=True)
LONG = settings(USUAL, max_examples=1500, stateful_step_count=50)


def drive(folder: Path, url: str, how: settings, start: int | None = None) -> int:
    """Let everything happen; returns how many faults there were."""
    world = World(folder, url)
    try:
        machine = type("Machine", (Machine,), {"world": world})
        run_state_machine_as_test(machine if start is None else seed(start)(machine), settings=how)
    finally:
        world.close()
    return world.plan.struck


@pytest.mark.timeout(600)
def test_no_sequence_breaks_a_promise(tmp_path: Path) -> None:
    assert drive(tmp_path, f"sqlite:///{tmp_path / 'clawdeploy.db'}", QUICK) > 100


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_no_sequence_breaks_a_promise_with_other_seeds(
    tmp_path: Path, database_url: str, request: pytest.FixtureRequest
) -> None:
    struck = drive(tmp_path, database_url, LONG, request.config.getoption("--seed"))
    request.node.user_properties.append(("faults_injected", struck))
