"""ClawDeploy: deploy a personal OpenClaw bot from a web form."""

__version__ = "0.1.0"
