"""The suite that every runtime has to pass: one test for each promise of ``contracts.Runtime``.

    class TestMyRuntime(RuntimeContract):
        def make_runtime(self, installation): ...
        def spec(self): ...
        def file(self, runtime, instance_id, path): ...

It needs an engine on which every installation finds the image of ``spec()``.
"""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clawdeploy.core.contracts import (
    MISSING,
    ContainerSpec,
    ContainerState,
    Runtime,
    Secret,
    SecretFile,
    SeededFile,
    Volume,
)
from clawdeploy.core.errors import (
    ImageMissing,
    ImageUnavailable,
    NameTaken,
    NoContainer,
    PortTaken,
    RuntimeFailure,
)
from clawdeploy.core.testing.stage import Stage, free_port

ABSENT_IMAGE = "clawdeploy-image-that-nobody-has:never"
UNKNOWN_ID = "0" * 64


class RuntimeContract:
    """Subclass it as ``Test...`` and implement the three methods; pytest does the rest."""

    def make_runtime(self, installation: str) -> Runtime:
        """Return a runtime for an installation; all those of one test share one engine."""
        raise NotImplementedError

    def spec(self) -> ContainerSpec:
        """Return a container that stays up, passes its probe, and has written to its log by then."""
        raise NotImplementedError

    def file(self, runtime: Runtime, instance_id: str, path: str) -> bytes | None:
        """Return what the running container itself finds at a path, ``None`` if there is nothing."""
        raise NotImplementedError

    @pytest.fixture
    def stage(self) -> Iterator[Stage]:
        """A runtime of its own installation, with everything on it removed afterwards."""
        runtime = self.make_runtime(uuid.uuid4().hex)
        stage = Stage(runtime)
        yield stage
        stage.clear()
        runtime.close()

    @pytest.fixture
    def neighbour(self) -> Iterator[Stage]:
        """Another installation on the same engine."""
        runtime = self.make_runtime(uuid.uuid4().hex)
        neighbour = Stage(runtime)
        yield neighbour
        neighbour.clear()
        runtime.close()

    def test_ping_names_the_engine(self, stage: Stage) -> None:
        """An engine that answers has a name for people."""
        assert stage.runtime.ping().name
        assert stage.runtime.name

    def test_it_says_what_is_left_on_its_computer(self, stage: Stage) -> None:
        """In bytes; what cannot be known is ``None``."""
        left = stage.runtime.room()
        assert all(each is None or each > 0 for each in (left.memory_bytes, left.disk_bytes))

    def test_its_profile_is_the_same_each_time(self) -> None:
        """Or every container would be made anew at each restart."""
        installation = uuid.uuid4().hex
        first, second = (self.make_runtime(installation) for _ in range(2))
        assert isinstance(first.profile, str)
        assert first.profile == second.profile
        for runtime in (first, second):
            runtime.close()

    def test_it_knows_which_images_are_here(self, stage: Stage) -> None:
        """Any one of the images is enough."""
        here = self.spec().images
        assert stage.runtime.has_image(here)
        assert stage.runtime.has_image((ABSENT_IMAGE, *here))
        assert not stage.runtime.has_image((ABSENT_IMAGE,))
        assert not stage.runtime.has_image(())

    def test_create_makes_a_container_that_does_not_run_yet(self, stage: Stage) -> None:
        """Creating is not starting."""
        instance_id = stage.instance_id()
        container_id = stage.runtime.create(instance_id, free_port(), self.spec())
        seen = stage.runtime.observe(instance_id)
        assert (seen.state, seen.container_id) == (ContainerState.CREATED, container_id)
        assert seen.started_at is None
        assert not stage.runtime.probe(seen, self.spec().probe)

    def test_create_twice_adopts_the_first(self, stage: Stage) -> None:
        """An answer that got lost leaves a container that the next attempt finds."""
        instance_id, port = stage.instance_id(), free_port()
        first = stage.runtime.create(instance_id, port, self.spec())
        assert stage.runtime.create(instance_id, port, self.spec()) == first
        assert list(stage.runtime.observe_all()) == [instance_id]

    def test_create_at_the_same_time_makes_one(self, stage: Stage) -> None:
        """Eight callers at once get the same container."""
        instance_id, port, spec = stage.instance_id(), free_port(), self.spec()
        with ThreadPoolExecutor(8) as threads:
            made = {*threads.map(lambda _: stage.runtime.create(instance_id, port, spec), range(8))}
        assert len(made) == 1

    def test_create_without_an_image_says_so_and_leaves_nothing(self, stage: Stage) -> None:
        """The caller may pull it and try again."""
        instance_id = stage.instance_id()
        with pytest.raises(ImageMissing):
            stage.runtime.create(instance_id, free_port(), replace(self.spec(), images=(ABSENT_IMAGE,)))
        assert stage.runtime.observe(instance_id) == MISSING

    def test_create_takes_the_first_image_that_is_here(self, stage: Stage) -> None:
        """Later images serve when the best one is not on the host."""
        spec = replace(self.spec(), images=(ABSENT_IMAGE, *self.spec().images))
        assert stage.runtime.create(stage.instance_id(), free_port(), spec)

    def test_an_image_that_cannot_be_had_is_unavailable(self, stage: Stage) -> None:
        """Pulling it ends with a sentence."""
        with pytest.raises(ImageUnavailable) as caught:
            stage.runtime.pull(ABSENT_IMAGE)
        assert ABSENT_IMAGE in caught.value.detail

    def test_a_name_that_somebody_else_holds_is_taken(self, stage: Stage, neighbour: Stage) -> None:
        """The other container is neither adopted nor touched, and does not count as ours."""
        instance_id, theirs = neighbour.started(self.spec())
        with pytest.raises(NameTaken):
            stage.runtime.create(instance_id, free_port(), self.spec())
        assert stage.runtime.observe(instance_id) == MISSING
        assert not stage.runtime.observe_all()
        assert neighbour.reaches(instance_id, ContainerState.RUNNING).container_id == theirs

    def test_a_started_container_becomes_ready(self, stage: Stage) -> None:
        """Its port, its start and its probe can be seen."""
        port = free_port()
        instance_id, container_id = stage.ready(self.spec(), port)
        seen = stage.runtime.observe(instance_id)
        assert (seen.state, seen.container_id, seen.host_port) == (ContainerState.RUNNING, container_id, port)
        assert seen.started_at is not None
        assert abs(datetime.now(UTC) - seen.started_at) < timedelta(minutes=1)
        assert (seen.restart_count, seen.out_of_memory, seen.engine_error) == (0, False, "")

    def test_start_twice_is_fine(self, stage: Stage) -> None:
        """The second finds it running."""
        instance_id, container_id = stage.ready(self.spec())
        before = stage.runtime.observe(instance_id)
        stage.runtime.start(container_id, instance_id, self.spec())
        assert stage.runtime.observe(instance_id) == before

    def test_start_of_nothing_is_a_failure(self, stage: Stage) -> None:
        """A container that went away between two calls cannot be started."""
        with pytest.raises(RuntimeFailure):
            stage.runtime.start(UNKNOWN_ID, stage.instance_id(), self.spec())

    def test_a_port_that_somebody_holds_is_taken(self, stage: Stage) -> None:
        """The one that failed can be removed, and its instance starts on another port."""
        port = free_port()
        holder, _ = stage.ready(self.spec(), port)
        instance_id = stage.instance_id()
        failed = stage.runtime.create(instance_id, port, self.spec())
        with pytest.raises(PortTaken) as caught:
            stage.runtime.start(failed, instance_id, self.spec())
        assert str(port) in caught.value.detail
        assert stage.runtime.observe(instance_id).state is ContainerState.CREATED
        stage.runtime.remove(failed)
        again = stage.runtime.create(instance_id, free_port(), self.spec())
        stage.runtime.start(again, instance_id, self.spec())
        assert stage.runtime.observe(instance_id).state is ContainerState.RUNNING
        assert stage.probes(holder, self.spec())

    def test_stop_ends_it_and_start_brings_the_same_one_back(self, stage: Stage) -> None:
        """Container and port stay the same."""
        instance_id, container_id = stage.ready(self.spec())
        running = stage.runtime.observe(instance_id)
        stage.runtime.stop(container_id, 10)
        stopped = stage.runtime.observe(instance_id)
        assert (stopped.state, stopped.container_id) == (ContainerState.EXITED, container_id)
        assert stopped.exit_code is not None
        for seen in (stopped, running):
            assert not stage.runtime.probe(seen, self.spec().probe), "it may have ended since it was observed"
        stage.runtime.start(container_id, instance_id, self.spec())
        again = stage.reaches(instance_id, ContainerState.RUNNING)
        assert (again.container_id, again.host_port) == (container_id, running.host_port)

    def test_stop_of_what_does_not_run_is_fine(self, stage: Stage) -> None:
        """Not started yet, ended already, or not there at all."""
        instance_id = stage.instance_id()
        container_id = stage.runtime.create(instance_id, free_port(), self.spec())
        stage.runtime.stop(container_id, 1)
        stage.runtime.start(container_id, instance_id, self.spec())
        stage.runtime.stop(container_id, 10)
        stage.runtime.stop(container_id, 10)
        stage.runtime.stop(UNKNOWN_ID, 10)

    def test_remove_takes_it_away_running_or_not(self, stage: Stage) -> None:
        """What is gone already is fine too."""
        running, running_id = stage.ready(self.spec())
        created = stage.instance_id()
        for container_id in (running_id, stage.runtime.create(created, free_port(), self.spec())):
            stage.runtime.remove(container_id)
            stage.runtime.remove(container_id)
        assert stage.runtime.observe(running) == MISSING
        assert stage.runtime.observe(created) == MISSING

    def test_nothing_is_seen_of_an_unknown_instance(self, stage: Stage) -> None:
        """It is missing, which is not an error."""
        assert stage.runtime.observe(stage.instance_id()) == MISSING

    def test_observe_all_sees_ours_and_only_ours(self, stage: Stage, neighbour: Stage) -> None:
        """Running, stopped and created ones, by instance; nobody else's."""
        neighbour.started(self.spec())
        running, running_id = stage.started(self.spec())
        stopped, stopped_id = stage.started(self.spec())
        stage.runtime.stop(stopped_id, 10)
        created = stage.instance_id()
        created_id = stage.runtime.create(created, free_port(), self.spec())
        seen = {
            instance_id: (each.state, each.container_id) for instance_id, each in stage.runtime.observe_all().items()
        }
        assert seen == {
            running: (ContainerState.RUNNING, running_id),
            stopped: (ContainerState.EXITED, stopped_id),
            created: (ContainerState.CREATED, created_id),
        }

    def test_what_happens_to_a_container_is_told(self, stage: Stage) -> None:
        """It is told of which instance, unless the engine tells nothing at all."""
        heard = stage.runtime.events()
        begun = next(heard, None)
        if begun is None:
            return
        assert begun == "", "it has to say that it listens before anything else"
        instance_id, container_id = stage.started(self.spec())
        assert next(heard) == instance_id
        stage.runtime.stop(container_id, 5)
        stage.runtime.remove(container_id)
        assert next(heard) == instance_id

    def test_what_is_not_ours_is_never_touched(self, stage: Stage, neighbour: Stage) -> None:
        """Not even when somebody hands us its id: for us it is missing."""
        instance_id, theirs = neighbour.ready(self.spec())
        stage.runtime.stop(theirs, 1)
        stage.runtime.remove(theirs)
        with pytest.raises(RuntimeFailure):
            stage.runtime.start(theirs, instance_id, self.spec())
        with pytest.raises(NoContainer):
            stage.runtime.logs(theirs, 10)
        assert neighbour.runtime.observe(instance_id).state is ContainerState.RUNNING

    def test_logs_are_the_last_lines(self, stage: Stage) -> None:
        """Never more than asked for; nothing from before ``since``."""
        _, container_id = stage.ready(self.spec())
        everything = stage.runtime.logs(container_id, 1000)
        assert everything.strip()
        assert stage.runtime.logs(container_id, 1) == everything.splitlines(keepends=True)[-1]
        later = datetime.now(UTC) + timedelta(minutes=5)
        assert stage.runtime.logs(container_id, 1000, later) == ""
        assert stage.runtime.logs(container_id, 1000, later - timedelta(hours=1)) == everything

    def test_logs_stay_readable_after_the_end(self, stage: Stage) -> None:
        """They are wanted most when the container has ended."""
        _, container_id = stage.ready(self.spec())
        before = stage.runtime.logs(container_id, 1000)
        stage.runtime.stop(container_id, 10)
        assert stage.runtime.logs(container_id, 1000).startswith(before)

    def test_logs_of_nothing_say_so(self, stage: Stage) -> None:
        """There is no container to have any."""
        with pytest.raises(NoContainer):
            stage.runtime.logs(UNKNOWN_ID, 10)

    def test_discard_is_always_fine(self, stage: Stage) -> None:
        """Also twice, and for an instance that never had anything."""
        instance_id = stage.instance_id()
        stage.runtime.discard(instance_id)
        stage.runtime.discard(instance_id)

    def test_a_volume_outlives_its_container_until_it_is_discarded(self, stage: Stage) -> None:
        """A seeded file in it is written once, and never again over what the bot made of it."""
        path = "/bot-data/settings"
        spec = replace(self.spec(), volumes=(Volume("data", "/bot-data"),))
        first = replace(spec, seeded_files=(SeededFile(path, b"first"),))
        second = replace(spec, seeded_files=(SeededFile(path, b"second"),))
        instance_id, container_id = stage.ready(first)
        assert self.file(stage.runtime, instance_id, path) == b"first"
        stage.runtime.remove(container_id)
        self._up_again(stage, instance_id, second)
        assert self.file(stage.runtime, instance_id, path) == b"first"
        stage.runtime.remove(stage.runtime.observe(instance_id).container_id or "")
        stage.runtime.discard(instance_id)
        self._up_again(stage, instance_id, second)
        assert self.file(stage.runtime, instance_id, path) == b"second"

    def test_what_there_is_of_an_instance_is_told_until_it_is_discarded(self, stage: Stage, neighbour: Stage) -> None:
        """Its container, its volumes and its secret files, with when each was made; nothing of anybody else."""
        spec = replace(self.spec(), volumes=(Volume("data", "/bot-data"),))
        neighbour.started(spec)
        instance_id, container_id = stage.started(spec)
        held = stage.runtime.holdings()
        assert {each.instance_id for each in held} == {instance_id}
        assert [each.container_id for each in held if each.container_id] == [container_id]
        made_at = [each.made_at for each in held if each.made_at]
        assert all(abs(datetime.now(UTC) - at) < timedelta(minutes=1) for at in made_at)
        stage.runtime.remove(container_id)
        held = stage.runtime.holdings()
        assert {each.instance_id for each in held} == {instance_id}, "its volume is still there"
        assert not [each for each in held if each.container_id]
        stage.runtime.discard(instance_id)
        assert not stage.runtime.holdings()

    def test_a_file_is_seeded_into_the_container_itself(self, stage: Stage) -> None:
        """Without a volume it lives as long as the container, also when creating it was repeated."""
        spec = replace(self.spec(), seeded_files=(SeededFile("/srv/bot/settings", b"\x00\xffbytes"),))
        instance_id, port = stage.instance_id(), free_port()
        stage.runtime.create(instance_id, port, spec)
        container_id = stage.runtime.create(instance_id, port, spec)
        stage.runtime.start(container_id, instance_id, spec)
        assert self.file(stage.runtime, instance_id, "/srv/bot/settings") == b"\x00\xffbytes"

    def test_secret_files_are_written_before_every_start(self, stage: Stage) -> None:
        """A changed secret is there after the next start."""
        path = "/run/secrets/api-key"
        old = replace(self.spec(), secret_files=(SecretFile(path, Secret("old-é")),))
        new = replace(self.spec(), secret_files=(SecretFile(path, Secret("new")),))
        instance_id, container_id = stage.ready(old)
        assert self.file(stage.runtime, instance_id, path) == "old-é".encode()
        stage.runtime.stop(container_id, 10)
        stage.runtime.start(container_id, instance_id, new)
        assert self.file(stage.runtime, instance_id, path) == b"new"

    def _up_again(self, stage: Stage, instance_id: str, spec: ContainerSpec) -> None:
        container_id = stage.runtime.create(instance_id, free_port(), spec)
        stage.runtime.start(container_id, instance_id, spec)
