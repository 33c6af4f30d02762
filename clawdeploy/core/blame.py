"""Whose fault it was: what is known of one plugin, and how its failures are kept from harming anybody else."""

import logging
from dataclasses import dataclass, field

from clawdeploy.core.errors import ClawDeployError, PluginError
from clawdeploy.core.redaction import redacted

LONGEST_ERROR = 300

logger = logging.getLogger(__name__)


@dataclass
class PluginReport:
    """One plugin as ``clawdeploy plugins`` shows it; ``error`` is empty when all is well."""

    name: str
    source: str
    default: bool
    hooks: list[str] = field(default_factory=list)
    error: str = ""


class Blame:
    """Turns any failure inside the block into the failure of one named plugin.

    It is recorded and the program goes on after the block. For a default plugin, and for any in strict mode,
    ``PluginError`` is raised. A plugin that wants to end the process (``SystemExit``) has failed too; Ctrl-C has not.
    """

    def __init__(self, report: PluginReport, *, strict: bool) -> None:
        self._report = report
        self._strict = strict

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, (Exception, SystemExit)):
            return False
        said = error.detail if isinstance(error, ClawDeployError) else f"{type(error).__name__}: {error}"
        self._report.error = redacted(said)[:LONGEST_ERROR]
        if self._report.default or self._strict:
            name, source = self._report.name, self._report.source
            raise PluginError(f"Plugin {name!r} ({source}) failed: {self._report.error}") from error
        logger.error("Plugin %s failed and is left out: %s", self._report.name, self._report.error, exc_info=error)
        return True
