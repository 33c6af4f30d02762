"""What goes wrong outside of ClawDeploy, done for real: proxies that fail, processes that are killed, and an oracle."""
