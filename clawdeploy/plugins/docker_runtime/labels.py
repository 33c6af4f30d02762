"""Labels: how things on the engine say whose they are."""

import json
from collections.abc import Mapping

INSTALLATION_LABEL = "clawdeploy.installation"
INSTANCE_LABEL = "clawdeploy.instance"


def label_filter(wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the parameter of a list call that asks for things with all these labels.

    The answer has to be looked through all the same: Podman gives volumes that have any of them.
    """
    return {"filters": json.dumps({"label": [f"{name}={value}" for name, value in wanted.items()]})}


def carries(labels: Mapping[str, str] | None, wanted: Mapping[str, str]) -> bool:
    """Say whether all wanted labels are among the labels of something; engines say null for none at all."""
    return wanted.items() <= (labels or {}).items()
