"""Labels: how things on the engine say whose they are."""

import json
import re
from collections.abc import Mapping

INSTALLATION_LABEL = "clawdeploy.installation"
INSTANCE_LABEL = "clawdeploy.instance"
MADE_LABEL = "clawdeploy.made"
"""When a volume was made. What Docker 20.10 says of that changes whenever something is written into the volume."""


def label_filter(wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the parameter of a list call that asks for things with all these labels.

    The answer has to be looked through all the same: Podman gives volumes that have any of them.
    """
    return {"filters": json.dumps({"label": [f"{name}={value}" for name, value in wanted.items()]})}


def carries(labels: Mapping[str, str] | None, wanted: Mapping[str, str]) -> bool:
    """Say whether all wanted labels are among the labels of something; engines say null for none at all."""
    return wanted.items() <= (labels or {}).items()


def is_instance_id(text: str) -> bool:
    """Say whether this can be the id of an instance: it becomes part of names and of a path."""
    return re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text) is not None


def labelled_instance(installation: str, labels: Mapping[str, str] | None) -> str | None:
    """Return whose something is by its labels; ``None`` unless it carries both labels of this installation."""
    if not carries(labels, {INSTALLATION_LABEL: installation}):
        return None
    instance_id = (labels or {}).get(INSTANCE_LABEL) or ""
    return instance_id if is_instance_id(instance_id) else None
