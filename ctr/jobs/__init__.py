"""One module per command, and what commands print."""
