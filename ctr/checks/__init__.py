"""Findings: their levels, the thresholds that they are held to, and the checks of a report."""
