"""Bands of how often the training data has an id."""

LABELS = ("missing", "new, or too rare for the vocabulary", "1 to 9", "10 to 99", "100 to 999", "1,000 or more")
