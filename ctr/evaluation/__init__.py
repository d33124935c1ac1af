"""Scoring a set once, and all that its report counts on the way."""
