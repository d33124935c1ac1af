"""`ctr compare`: the same experiment under several choices, and whether what they differ by is more than luck."""
