"""Everything replaceable: the plugins that ship with ClawDeploy."""
