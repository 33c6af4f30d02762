"""What can go wrong with a call, and around all of them, as Hypothesis chooses it."""

from collections.abc import Callable

from hypothesis import strategies as st

from tests.core.machine.faults import Effect, Fault, Moment, Where
from tests.core.machine.happenings import HAPPENINGS
from tests.core.machine.scenery import IMAGE
from tests.core.machine.world import PORTS, World

ASKED = ("start", "stop", "restart", "retry", "patch stopped", "delete")
"""What an owner can ask for."""

MEANWHILES = ("sync", "late sync", "late stop", "late delete", "late restart", *ASKED, *HAPPENINGS)
"""What somebody else does meanwhile; late: after so much time that the claim has lapsed."""

BEFORE_OR_AFTER = st.sampled_from([Moment.BEFORE, Moment.UNANSWERED])
OF_DATABASES = st.sampled_from([Effect.SILENT, Effect.DIES, Effect.MEANWHILE])

OF_ENGINES = st.builds(
    Fault,
    st.just(Where.ENGINE),
    BEFORE_OR_AFTER,
    st.sampled_from(list(Effect)),
    st.integers(0, 5),
    st.sampled_from([1, 2, 30]),
)
OF_WRITING = st.builds(
    Fault, st.just(Where.WRITING), BEFORE_OR_AFTER, OF_DATABASES, st.integers(0, 6), st.sampled_from([1, 30])
) | st.builds(
    # Nobody else gets through meanwhile: SQLite has one writer at a time.
    Fault,
    st.just(Where.WRITING),
    st.just(Moment.UNCOMMITTED),
    st.sampled_from([Effect.SILENT, Effect.DIES]),
    st.integers(0, 6),
)
OF_READING = st.builds(Fault, st.just(Where.READING), st.just(Moment.BEFORE), OF_DATABASES, st.integers(0, 6))

MEANWHILE = (st.sampled_from(MEANWHILES), st.integers(0, 1))
WRONG = st.none() | st.one_of(*[st.tuples(faults, *MEANWHILE) for faults in (OF_ENGINES, OF_WRITING, OF_READING)])
"""What goes wrong with a call, and what somebody else does meanwhile in which process, should it be that."""

Wrong = tuple[Fault, str, int] | None


def _take_port(world: World, _: int) -> None:
    port = next((each for each in range(*PORTS) if not world.memory.engine.holds(each)), None)
    if port is not None:
        world.memory.engine.foreign_ports.add(port)


def _lose_image(world: World, loadable: int) -> None:
    world.memory.engine.images = set()
    world.memory.engine.registry = {IMAGE} if loadable else set()


def _newcomers(world: World, are_mute: int) -> None:
    world.newcomers_are_mute = bool(are_mute)


AROUND: dict[str, Callable[[World, int], object]] = {
    "a second passes": lambda world, _: world.clock.advance(1),
    "a claim lapses": lambda world, _: world.clock.advance(9),
    "ten minutes pass": lambda world, _: world.clock.advance(601),
    "the engine is killed": lambda world, _: world.engine_ends(),
    "the image goes": _lose_image,
    "another program takes a port": _take_port,
    "newcomers do not answer, or do": _newcomers,
    "a process dies": lambda world, where: world.bury(world.processes[where]),
}
"""What happens around all bots; the number says in which process, or which of two."""
