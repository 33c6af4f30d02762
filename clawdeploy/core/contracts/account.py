"""What signed-in people see of their own credentials."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AccountSection:
    """One kind of issued credential that people see, and can end, on their account page.

    ``kind`` is the kind in the ``CredentialStore``, made of small letters, digits and ``_``, and part of the section's
    address. ``title`` and ``help`` stand above the list, ``empty`` stands in place of an empty one. ``end`` is what
    ending one is called, such as "Revoke", and ``ended`` the sentence that says it was done. With a ``prefix`` people
    can make one, whose value begins with it; without, they cannot. With ``end_all``, a button of that name ends all of
    them. With a ``provider`` the section is there only while the auth provider of that name is in use.
    """

    kind: str
    title: str
    help: str
    empty: str
    end: str
    ended: str
    prefix: str | None = None
    provider: str = ""
    end_all: str = ""
