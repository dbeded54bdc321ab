"""The proxy's YAML configuration: loading, validation and its typed model."""
