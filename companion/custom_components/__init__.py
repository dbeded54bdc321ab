"""Where Home Assistant looks for integrations that are not its own."""
