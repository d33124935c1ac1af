"""Comparisons: train variants of an experiment and report which differences are statistically significant."""
