"""ESPHome's YAML: text to nodes that know where they stand, resolved; nothing is checked against a schema here."""
