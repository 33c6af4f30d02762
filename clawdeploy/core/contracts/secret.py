"""A value that must not be seen by accident."""

from clawdeploy.core.redaction import remember


class Secret:
    """Wraps a secret text so that ``repr``, ``str``, logs and tracebacks show ``***``.

    From then on the text itself is taken out of logs and errors too, wherever it comes from.
    Only :meth:`reveal` gives the value; search for that word to find every place that needs it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def reveal(self) -> str:
        """Return the secret text itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
