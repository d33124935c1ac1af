"""Checks before training: whether a run fits the machine, and what its data is like."""
