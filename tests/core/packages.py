"""Small Python packages as other people publish them, really installed by pip."""

import subprocess
import sys
import zipfile
from pathlib import Path

SLACK = """
from clawdeploy.core.contracts import CredentialField
from clawdeploy.core.hookspecs import hookimpl


class Slack:
    name = "slack"
    label = "Slack"
    help = "Your bot answers in Slack."
    credential_fields = (
        CredentialField("botToken", "Bot token", "It begins with xoxb-.", "SLACK_BOT_TOKEN"),
        CredentialField("appToken", "App token", "It begins with xapp-.", "SLACK_APP_TOKEN"),
    )
    bot_config = {"enabled": True}

    def check(self, credentials):
        wrong = not credentials.get("appToken", "xapp-").startswith("xapp-")
        return {"appToken": "An app token begins with xapp-."} if wrong else {}


@hookimpl
def register_channels():
    return [Slack()]
"""


def install(target: Path, distribution: str, entry_point: str, source: str, version: str = "1.0") -> None:
    """Install a package of one module into a folder with pip; ``entry_point`` is the plugin's name.

    The wheel is put together here, so that pip has nothing to build and needs neither a network nor a build system.
    """
    module = distribution.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    wheel = target.parent / f"{module}-{version}-py3-none-any.whl"
    files = {
        f"{module}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[clawdeploy]\n{entry_point} = {module}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--target", target, wheel], check=True)
