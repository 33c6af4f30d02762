"""Who is removed has nothing any more, and gets nothing new with a credential that outlives them."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from clawdeploy.core.errors import NotSignedIn, OperationInProgress
from clawdeploy.core.locks import CREATIONS, one_at_a_time
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import eventually
from tests.core.surroundings import Surroundings
from tests.platforms import GOOD


def test_a_user_who_is_removed_leaves_entries(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    _, token = platform.credentials.issue("api_token", "user_ann", label="Home")
    for _ in range(2):
        platform.remove_user("user_ann", "elsewhere")
    entries = [(each.who, each.what, each.user_id, each.subject) for each in platform.audit.newest(3)]
    assert entries == [
        ("elsewhere", "api_token.ended", "user_ann", token.id),
        ("elsewhere", "user.removed", "user_ann", ""),
        ("user_ann", "api_token.made", "user_ann", token.id),
    ]


def test_who_was_removed_gets_nothing_new(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    platform.remove_user("user_ann", "elsewhere")
    with pytest.raises(NotSignedIn, match="user_ann was removed"):
        platform.instances.create("user_ann", GOOD)
    with pytest.raises(NotSignedIn):
        platform.credentials.issue("api_token", "user_ann")
    assert surroundings.count("instance") == surroundings.count("credential") == 0
    platform.instances.create("user_bob", GOOD)
    platform.credentials.issue("api_token", "user_bob")


def test_what_is_made_in_the_moment_of_a_removal_is_refused_or_removed(surroundings: Surroundings) -> None:
    platform, other = surroundings.open(), surroundings.open()

    def make(user: str) -> None:
        for _ in range(3):
            try:
                other.instances.create(user, GOOD, wait=0)
                other.credentials.issue("api_token", user)
            except NotSignedIn:
                return

    def remove(user: str) -> bool:
        try:
            platform.remove_user(user, "elsewhere")
        except OperationInProgress:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        for number in range(4):
            user = f"user_{number}"
            made = threads.submit(make, user)
            removed = threads.submit(remove, user)
            made.result()
            # mypy infers no type for a lambda with a default, which holds on to the value of this turn.
            assert removed.result() or eventually(lambda user=user: remove(user), within=10)  # type: ignore[misc]
            assert has_nothing(platform, user)


def test_a_removal_waits_for_what_is_just_being_made(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    with ThreadPoolExecutor(1) as threads:
        with surroundings.looking().transaction():
            one_at_a_time(surroundings.looking(), CREATIONS)
            asked = threads.submit(platform.remove_user, "user_ann", "elsewhere")
            assert not wait([asked], 0.5).done
        asked.result(10)


def has_nothing(platform: Platform, user: str) -> bool:
    return not platform.instances.list(user).instances and not platform.credentials.list("api_token", user)
