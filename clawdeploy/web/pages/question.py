"""Pages that ask before something is done."""

import falcon

from clawdeploy.core.contracts import Question
from clawdeploy.web.request import Request
from clawdeploy.web.templating import Templates


class Questions:
    """Middleware that shows the question with which a resource has answered, if it has."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def process_response(self, req: Request, resp: falcon.Response, resource: object, succeeded: bool) -> None:
        """Make a page of it."""
        question = getattr(resp.context, "question", None)
        if succeeded and isinstance(question, Question):
            resp.content_type = falcon.MEDIA_HTML
            resp.text = self._templates.render("question.mako", question=question)
