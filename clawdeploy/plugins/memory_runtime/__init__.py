"""The runtime ``memory``: containers that exist only in this process, for tests and trying things out."""

from collections.abc import Iterable

from clawdeploy.core.contracts import Runtime
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.plugins.memory_runtime.engine import MemoryEngine
from clawdeploy.plugins.memory_runtime.runtime import MemoryRuntime

__all__ = ["MemoryEngine", "MemoryRuntime", "register_runtimes"]


@hookimpl
def register_runtimes(installation: str) -> Iterable[Runtime]:
    """Offer the memory runtime; its containers live as long as the process."""
    return [MemoryRuntime(installation)]
