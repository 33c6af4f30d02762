"""For tests, also those of plugin authors: contract suites, and fakes that fail in a known way.

Needs pytest (``pip install clawdeploy[test]``); nothing that serves imports it.
"""

import pytest

# Rewriting makes a failed ``assert`` of the suite show its values in the author's own test run.
pytest.register_assert_rewrite("clawdeploy.core.testing.runtime_contract")

from clawdeploy.core.testing.failing_runtimes import (  # noqa: E402
    BrokenRuntime,
    LostAnswerRuntime,
    SlowRuntime,
    VanishingRuntime,
)
from clawdeploy.core.testing.runtime_contract import RuntimeContract  # noqa: E402
from clawdeploy.core.testing.stage import Stage, eventually, free_port  # noqa: E402

__all__ = [
    "BrokenRuntime",
    "LostAnswerRuntime",
    "RuntimeContract",
    "SlowRuntime",
    "Stage",
    "VanishingRuntime",
    "eventually",
    "free_port",
]
