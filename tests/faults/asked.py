"""What a client has asked for, and what is wrong with the answer."""

from dataclasses import dataclass

from tests.web.serving import Answer

LONGEST_ANSWER = 10.0
"""Seconds within which everything is answered, whatever the database does."""


@dataclass(frozen=True)
class Asked:
    """One request and what came of it."""

    method: str
    path: str
    status: int
    code: str
    seconds: float
    began: float
    wrong: str

    @property
    def reads(self) -> bool:
        """Whether nothing was to be changed."""
        return self.method == "GET"


def judged(answer: Answer, seconds: float) -> tuple[str, str]:
    """Return the code of a problem, and what is wrong with an answer, if anything."""
    wrong = f"it took {seconds:.1f} s" if seconds > LONGEST_ANSWER else ""
    if answer.status < 400:
        return "", wrong
    if answer.headers["Content-Type"].startswith("text/html"):
        page = answer.body.decode()
        code = "page"
        if answer.status == 503 and "Try Again" not in page:
            wrong = "the page does not say to try again"
    else:
        code = answer.problem()["code"]
        if answer.status == 503 and code != "database_unavailable":
            wrong = f"503 {code}"
    if answer.status == 503 and not answer.headers["Retry-After"]:
        wrong = "no Retry-After"
    if answer.status not in (400, 404, 409, 503):
        wrong = f"status {answer.status}: {answer.body[:300]!r}"
    return code, wrong
