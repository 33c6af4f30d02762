"""``GET /metrics``: what the server measures, for Prometheus.

Counts are made where things happen and added up over all processes of this server. What is so at the moment is asked
when somebody looks. No label names a user or an instance: each value is one of a list that the product has.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from clawdeploy.core.contracts import Call, documented
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.measurements import EngineCalled, LimitReached, Measurement, OperationEnded, SyncEnded
from clawdeploy.core.platform import Platform
from clawdeploy.web.middleware import RequestAnswered
from clawdeploy.web.queries import ApiResource
from clawdeploy.web.request import Request

TEXT = "text/plain"
REQUEST_SECONDS = (0.005, 0.025, 0.1, 0.3, 1.0, 2.5, 5.0, 10.0, 30.0)
ENGINE_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0)
OPERATION_SECONDS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
SYNC_SECONDS = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0)


class Counts:
    """What has happened since the server began, in memory that its processes share if there is a ``folder``."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        own = CollectorRegistry()
        # Metrics of several processes are read from their files alone.
        made: dict[str, Any] = {"namespace": "clawdeploy", "registry": None if folder else own}
        self._own = own
        self._requests = Counter("http_requests", "Requests answered.", ["method", "route", "status"], **made)
        self._request_seconds = Histogram(
            "http_request_seconds", "Seconds until a request was answered.", ["method", "route"],
            buckets=REQUEST_SECONDS, **made,
        )  # fmt: skip
        self._limited = Counter("rate_limited", "Requests refused because it was too much.", ["limit"], **made)
        self._operations = Histogram(
            "operation_seconds", "Seconds until an operation on a bot had settled.", ["operation", "outcome"],
            buckets=OPERATION_SECONDS, **made,
        )  # fmt: skip
        self._failures = Counter("operation_failures", "Operations that failed.", ["operation", "reason"], **made)
        self._engine = Histogram(
            "engine_call_seconds", "Seconds that the engine was waited for.", ["call", "outcome"],
            buckets=ENGINE_SECONDS, **made,
        )  # fmt: skip
        self._syncs = Histogram(
            "sync_seconds", "Seconds that comparing all bots with the engine took.", ["outcome"],
            buckets=SYNC_SECONDS, **made,
        )  # fmt: skip
        self._diverged = Counter("sync_changes", "Bots that a sync found to be otherwise than recorded.", **made)

    def note(self, measurement: Measurement) -> None:
        """Count a measurement; those of other kinds are none of ours."""
        match measurement:
            case RequestAnswered(method, route, status, seconds):
                self._requests.labels(method, route, str(status)).inc()
                self._request_seconds.labels(method, route).observe(seconds)
            case EngineCalled(call, outcome, seconds):
                self._engine.labels(call, outcome).observe(seconds)
            case OperationEnded(operation, reason, seconds):
                self._operations.labels(operation.value, "failed" if reason else "done").observe(seconds)
                if reason:
                    self._failures.labels(operation.value, reason).inc()
            case SyncEnded(done, changes, seconds):
                self._syncs.labels("done" if done else "failed").observe(seconds)
                self._diverged.inc(changes)
            case LimitReached(limit):
                self._limited.labels(limit).inc()

    def registry(self) -> CollectorRegistry:
        """Return a registry that gives the sums of all processes."""
        if self._folder is None:
            return self._own
        registry = CollectorRegistry()
        # Whoever cleans up temporary folders must not keep a server from telling what is so now.
        if self._folder.is_dir():
            MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]  # it has no types
        return registry


class Condition(Collector):
    """What is so now; what cannot be found out because the database is away is left out."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Ask for everything; takes about a second at most while something hangs."""
        self._platform.database_health.ask()
        engine = self._platform.health()
        database = self._platform.database_health.condition()
        yield _gauge("engine_connected", "Whether the engine answers.", engine)
        yield _gauge(
            "engine_cut_off", "Whether the process that answers lets no call to the engine through.",
            self._platform.engine_is_cut_off(),
        )  # fmt: skip
        yield _gauge("database_connected", "Whether the database answers.", database.connected)
        if database.synced_at is not None:
            age = (self._platform.clock() - database.synced_at).total_seconds()
            yield _gauge("sync_age_seconds", "Seconds since all bots were last compared.", max(0.0, age))
        if database.connected:
            yield from self._census()

    def _census(self) -> Iterator[GaugeMetricFamily]:
        try:
            census = self._platform.census()
        except DatabaseUnavailable:
            return
        by_status = GaugeMetricFamily("clawdeploy_instances", "Bots by status.", labels=["status"])
        for status, number in census.by_status.items():
            by_status.add_metric([status.value], number)
        yield by_status
        yield _gauge("operations_under_way", "Bots with an operation that has not settled.", census.under_way)


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"clawdeploy_{name}", told, value=value)


class Metrics(ApiResource):
    """``/metrics``, for callers with the metrics secret; ``counts`` is ``None`` where there is no such secret."""

    def __init__(self, platform: Platform, counts: Counts | None) -> None:
        self._counts = counts
        self._present = CollectorRegistry()
        self._present.register(Condition(platform))

    @documented(Call(TEXT))
    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Give all metrics, in the text format of Prometheus."""
        parts = [self._present, *([self._counts.registry()] if self._counts else [])]
        resp.content_type = CONTENT_TYPE_PLAIN_0_0_4
        resp.data = b"".join(map(generate_latest, parts))
