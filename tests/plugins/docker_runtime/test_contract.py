"""The Docker runtime keeps every promise of the contract, on a real engine."""

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, Runtime
from clawdeploy.core.testing import RuntimeContract
from tests.plugins.docker_runtime.conftest import MakeRuntime

pytestmark = pytest.mark.engine


class TestDockerRuntime(RuntimeContract):
    @pytest.fixture(autouse=True)
    def engine(self, make_runtime: MakeRuntime, spec: ContainerSpec, witness: docker.APIClient) -> None:
        self.make, self.served, self.witness = make_runtime, spec, witness

    def make_runtime(self, installation: str) -> Runtime:
        return self.make(installation)

    def spec(self) -> ContainerSpec:
        return self.served

    def file(self, runtime: Runtime, instance_id: str, path: str) -> bytes | None:
        container_id = runtime.observe(instance_id).container_id
        reading = self.witness.exec_create(container_id, ["cat", path])["Id"]
        content = self.witness.exec_start(reading)
        return bytes(content) if self.witness.exec_inspect(reading)["ExitCode"] == 0 else None
