"""Findings: their levels, the thresholds that they are held to, and the checks before and after training."""
