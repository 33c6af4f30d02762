"""The folder that holds the database, the key and nothing of anybody else's."""

import secrets

from clawdeploy.core.config import Config
from clawdeploy.core.errors import ConfigurationError
from clawdeploy.core.settings import DATA_DIR


def make_data_folder(config: Config) -> None:
    """Make the data folder if there is none; raises ``ConfigurationError`` when it cannot be written."""
    folder = config[DATA_DIR]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".writable-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be written ({error.strerror}). "
            f"Make it writable, or set {DATA_DIR.name} to another folder."
        ) from None
