"""Typed records of report.json and comparison.json, with the meaning of each field, read and written by them."""
