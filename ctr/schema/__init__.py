"""What report.json and comparison.json hold: typed records with the meaning of each field, read and written by them."""
