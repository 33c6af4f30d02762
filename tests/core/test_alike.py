"""Of many texts that begin alike the right one is found, without a look at all of them."""

from hypothesis import given
from hypothesis import strategies as st

from clawdeploy.core.alike import SHORTEST, Alike

BEGINNING = "A" * SHORTEST
ENDINGS = st.text("ab", max_size=6)


@given(st.lists(ENDINGS), st.lists(ENDINGS, max_size=3), st.text("ab", max_size=8), st.sampled_from(["", ".", ".."]))
def test_the_longest_or_one_that_was_cut_off_is_found(
    noted: list[str], forgotten: list[str], here: str, end: str
) -> None:
    alike = Alike()
    for each in noted:
        alike = alike.including(BEGINNING + each)
    for each in forgotten:
        alike = alike.without(BEGINNING + each)
    known = {BEGINNING + each for each in noted} - {BEGINNING + each for each in forgotten}
    assert len(alike) == len(known)
    cut_off = BEGINNING + here
    whole = (len(each) for each in known if cut_off.startswith(each))
    cut = (len(cut_off) for each in known if each.startswith(cut_off))
    text = f"x{cut_off}{end}"
    assert alike.length(text, 1, len(text) - len(end)) == max((*whole, *cut), default=0)


def test_each_change_leaves_the_others_as_they_were() -> None:
    one = Alike().including("Alpha-1234")
    two = one.including("Alpha-1234-and-more").including("Alpha-1234")
    assert (len(one), len(two), len(two.without("Alpha-1234"))) == (1, 2, 1)
    assert one.length("Alpha-1234-and-more", 0, 19) == 10
    assert two.length("Alpha-1234-and-more", 0, 19) == 19
