"""The config: one experiment as a YAML file, and the messages about mistakes in it."""
