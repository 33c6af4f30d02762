"""``python -m clawdeploy`` is the same as ``clawdeploy``."""

from clawdeploy.cli import main

main()
