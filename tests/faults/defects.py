"""Defects that somebody could plant, each with the tests that have to notice it.

A suite that passes says something only if it fails when the product is wrong.
"""

from dataclasses import dataclass

CORE = "clawdeploy/core"
DOCKER = "clawdeploy/plugins/docker_runtime"


@dataclass(frozen=True)
class Defect:
    """A change that breaks the product: in ``module`` the one place that says ``sound`` says ``broken`` instead.

    ``caught_by`` are the arguments of a pytest run that has to fail then.
    """

    name: str
    module: str
    sound: str
    broken: str
    caught_by: tuple[str, ...]


DEFECTS = (
    Defect(
        "the container of a lost answer is not adopted",
        f"{DOCKER}/containers.py",
        "            if holder is not None:\n                return _adopted(owner, holder)\n",
        "            if holder is not None:\n                raise\n",
        ("tests/plugins/docker_runtime/test_contract.py",),
    ),
    Defect(
        "a container is adopted by its name alone",
        f"{DOCKER}/containers.py",
        "    if not is_of(owner, holder):\n",
        "    if False:\n",
        ("tests/plugins/docker_runtime/test_contract.py", "tests/plugins/docker_runtime/test_decoys.py"),
    ),
    Defect(
        "everybody has the lease",
        f"{CORE}/lease.py",
        "            if not is_dead(known.holder):\n                return False\n",
        "            if not is_dead(known.holder):\n                return True\n",
        ("tests/core/test_watch.py", "-k", "lease"),
    ),
    Defect(
        "the row is forgotten before the data is discarded",
        f"{CORE}/lifecycle.py",
        "            guarded(self._runtime.discard, row.id)\n            self.recorder.forget(attempt.claim, row)\n",
        "            self.recorder.forget(attempt.claim, row)\n            guarded(self._runtime.discard, row.id)\n",
        ("tests/core/test_processes.py", "-k", "delete and discard"),
    ),
    Defect(
        "the claim of a dead process never lapses",
        f"{CORE}/claims.py",
        "        free = self._row.claim.is_null() | lapsed(self._row.claim_until, now, LIFETIME)\n",
        "        free = self._row.claim.is_null()\n",
        ("tests/core/test_claims.py", "-k", "lapses"),
    ),
    Defect(
        "claims are not renewed",
        f"{CORE}/claim_keeper.py",
        "                self._update_held(claim_until=self._store.clock() + LIFETIME)\n",
        "                pass\n",
        ("tests/core/test_claims.py", "-k", "renewed"),
    ),
    Defect(
        "whoever lost a claim goes on writing",
        f"{CORE}/claims.py",
        "        return (self._row.id == claim.instance_id) & (self._row.claim == claim.token)\n",
        "        return self._row.id == claim.instance_id\n",
        ("tests/core/test_processes.py", "tests/core/test_reconciler.py", "tests/core/test_claims.py"),
    ),
    Defect(
        "another wish takes over from work that acts",
        f"{CORE}/phases.py",
        'ONLY_WATCHING = ("waiting_in_line", "pulling_image", "waiting_until_ready")\n',
        'ONLY_WATCHING = ("waiting_in_line", "pulling_image", "waiting_until_ready", "starting", "stopping")\n',
        ("tests/core/test_claims.py",),
    ),
    Defect(
        "running is said without having asked the bot",
        f"{CORE}/steps.py",
        "    if situation.ready:\n        return Step(Action.SETTLE, Status.RUNNING",
        "    if True:\n        return Step(Action.SETTLE, Status.RUNNING",
        ("tests/core/test_steps.py",),
    ),
    Defect(
        "a stop is settled while the engine is about to restart it",
        f"{CORE}/steps.py",
        "    return Step(Action.STOP) if state in ALIVE or to_start else Step(Action.SETTLE, Status.STOPPED)\n",
        "    alive = state in ALIVE and state is not ContainerState.RESTARTING\n"
        "    return Step(Action.STOP) if alive or to_start else Step(Action.SETTLE, Status.STOPPED)\n",
        ("tests/core/test_steps.py", "tests/core/test_lifecycle.py"),
    ),
    Defect(
        "what an operator stopped by hand is started again after an engine's death",
        f"{CORE}/observing.py",
        "    if row.reason in BY_HAND and not not_by_hand:\n",
        "    if False:\n",
        ("tests/core/test_recovering.py",),
    ),
    Defect(
        "the pause after a crash loop does not grow",
        f"{CORE}/crashes.py",
        "    pause = min(FIRST_PAUSE * 2 ** min(failures, 10), LONGEST_PAUSE)\n",
        "    pause = FIRST_PAUSE\n",
        ("tests/core/test_recovering.py", "-k", "longer"),
    ),
    Defect(
        "bots that ended with the engine stay down",
        f"{CORE}/observing.py",
        "    return seen.ended_with_engine or bool(seen.engine_error) or row.reason in FAILED_OPERATIONS\n",
        "    return False\n",
        ("tests/core/test_recovering.py", "-k", "engine"),
    ),
    Defect(
        "a sync records what it saw before it had the claim",
        f"{CORE}/reconciler.py",
        "                seen, situation = self._observer.observed(row, ready=ready, before=before)\n",
        "                seen, situation = MISSING, self._observer.situation(row, MISSING, ready=ready)\n",
        ("tests/core/test_reconciler.py",),
    ),
    Defect(
        "a vanished container is overlooked",
        f"{CORE}/reconciler.py",
        "            if self._comparison.differs(row, listed, ready.get(row.id)):\n",
        "            if row.id in seen and self._comparison.differs(row, listed, ready.get(row.id)):\n",
        ("tests/core/test_reconciler.py",),
    ),
    Defect(
        "what the engine tells is not heard",
        f"{CORE}/watch.py",
        "            self._reconciler.look([instance_id], ENGINE_ACTOR)\n",
        "",
        ("tests/core/test_watch.py", "-k", "at_once"),
    ),
    Defect(
        "a transaction on SQLite takes the write lock late",
        f"{CORE}/database.py",
        '            arguments = ("IMMEDIATE",) if self.path else ()\n',
        "            arguments = ()\n",
        ("tests/core/test_database.py",),
    ),
    Defect(
        "what a request made is noted after its transaction",
        f"{CORE}/store.py",
        "            note(row.id)\n            return self._snapshot(row)\n",
        "            self.database.peewee.after_commit(lambda: note(row.id))\n            return self._snapshot(row)\n",
        ("tests/core/test_idempotency_processes.py", "tests/core/test_idempotency.py"),
    ),
    Defect(
        "a port is given twice",
        f"{CORE}/store.py",
        "                    return write(self._free_port(ports, taken))\n",
        "                    return write(ports[0])\n",
        ("tests/core/test_store.py", "tests/core/test_lifecycle.py"),
    ),
    Defect(
        "secret files are not written again before a start",
        f"{DOCKER}/runtime.py",
        "        seen = from_inspection(container)\n        self._write_secrets(instance_id, spec)\n",
        "        seen = from_inspection(container)\n",
        ("tests/plugins/docker_runtime/test_contract.py", "-k", "secret"),
    ),
    Defect(
        "an engine that does not answer is asked by everybody",
        f"{CORE}/circuit_breaker.py",
        "            if not self._health.answers(PING_PATIENCE):\n",
        "            if False:\n",
        ("tests/core/test_circuit_breaker.py",),
    ),
    Defect(
        "what a restored backup does not know of is removed",
        f"{CORE}/leftovers.py",
        '        if covered(moments, spans):\n            return ""\n',
        '        if True:\n            return ""\n',
        ("tests/core/test_leftovers.py", "tests/core/test_cleanup.py"),
    ),
    Defect(
        "what a frozen process changed too late stays so",
        f"{CORE}/late_changes.py",
        "            self._make_good(attempt)\n        except DatabaseUnavailable:\n",
        "            pass\n        except DatabaseUnavailable:\n",
        ("tests/core/test_lifecycle.py", "tests/core/test_claims.py", "tests/core/test_recovering.py"),
    ),
    Defect(
        "a wish to stop is not kept",
        f"{CORE}/claims.py",
        '"wish": wish, "failures": 0,',
        '"failures": 0,',
        ("tests/core/test_state_machine.py",),
    ),
)
