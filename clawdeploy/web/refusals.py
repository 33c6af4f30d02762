"""What can be wrong with a request before anybody looks at what it asks for."""

from clawdeploy.core.errors import ClawDeployError


class Refusal(ClawDeployError):
    """Base of the errors that only the web knows; each has its row in ``web/errors.py``."""


class MalformedJson(Refusal):
    """The body is not the JSON object it should be; the detail says what is wrong and where."""

    code = "malformed_json"
    summary = "The body is not acceptable JSON"


class BodyMissing(Refusal):
    """The call needs a body and came without one."""

    code = "body_missing"
    summary = "The call needs a JSON body"


class BodyUnexpected(Refusal):
    """The call takes no body and came with one."""

    code = "body_unexpected"
    summary = "The call takes no body"


class BodyIncomplete(Refusal):
    """The connection ended, stalled or broke off before the whole body had arrived."""

    code = "body_incomplete"
    summary = "The body did not arrive completely"


class BodyTooLarge(Refusal):
    """The body is longer than the server is willing to read."""

    code = "body_too_large"
    summary = "The body is too large"


class MalformedForm(Refusal):
    """The body is not what a form of ours sends."""

    code = "malformed_form"
    summary = "The form could not be read"


class UnsupportedMediaType(Refusal):
    """The body is not declared as plain, uncompressed ``application/json``."""

    code = "unsupported_media_type"
    summary = "The body must be application/json"


class CrossOrigin(Refusal):
    """A browser sent the change on behalf of a page that is not ours, or did not say which page asked."""

    code = "cross_origin"
    summary = "The change did not come from a page of this server"
