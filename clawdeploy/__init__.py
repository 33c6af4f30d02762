"""ClawDeploy: deploy a personal OpenClaw bot from a web form.

The names below are what plugin authors build on; ``docs/plugin_hooks.md`` describes the hooks. The contract
suite for runtimes is in ``clawdeploy.core.testing``.
"""

from clawdeploy.core import contracts, errors, events
from clawdeploy.core.config import Config, Setting
from clawdeploy.core.hookspecs import hookimpl

__version__ = "0.1.0"
__all__ = ["Config", "Setting", "contracts", "errors", "events", "hookimpl"]
