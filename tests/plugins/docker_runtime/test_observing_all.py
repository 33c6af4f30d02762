"""All containers are seen with one call to the engine, however many there are."""

import re
import uuid

import pytest

from clawdeploy.core.contracts import ContainerSpec
from clawdeploy.core.testing import Stage
from clawdeploy.plugins.docker_runtime.engine import LOCAL_SOCKET
from tests.faults.proxy import FaultProxy
from tests.plugins.docker_runtime.conftest import MakeRuntime
from tests.plugins.docker_runtime.engines import socket_path

pytestmark = pytest.mark.engine


def test_all_are_seen_with_one_call(make_runtime: MakeRuntime, spec: ContainerSpec) -> None:
    installation = uuid.uuid4().hex
    stage = Stage(make_runtime(installation))
    with socket_path() as path:
        engine = FaultProxy(str(path), LOCAL_SOCKET.removeprefix("unix://"))
        calls: list[bytes] = []
        engine.seen = lambda piece: calls.extend(re.findall(rb"(?:GET|POST) (\S+) HTTP", piece))
        runtime = make_runtime(installation, f"unix://{path}")
        try:
            ids = {stage.ready(spec)[0] for number in range(3)}
            runtime.ping()
            calls.clear()
            assert set(runtime.observe_all()) == ids
            (call,) = calls
            assert b"/containers/json" in call
        finally:
            stage.clear()
            runtime.close()
            engine.close()


def test_a_container_is_asked_where_its_port_is_bound(make_runtime: MakeRuntime, spec: ContainerSpec) -> None:
    """And not where the setting says by now that ports are bound."""
    installation = uuid.uuid4().hex
    stage, after = Stage(make_runtime(installation)), make_runtime(installation, bound_to="127.0.0.2")
    try:
        instance_id, _ = stage.ready(spec)
        for seen in (after.observe(instance_id), after.observe_all()[instance_id]):
            assert seen.host_address == "127.0.0.1"
            assert after.probe(seen, spec.probe)
    finally:
        stage.clear()
