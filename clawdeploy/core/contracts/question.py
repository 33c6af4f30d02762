"""What a person is asked before something is done."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A page with one button, which sends the address that it stands at as a POST.

    A resource of a plugin answers with it by ``resp.context.question = Question(...)``. ``title`` and ``text`` are
    shown above the button, and next to it a link leads to the start page.
    """

    title: str
    text: str
    button: str
