"""Fits of features to the training data, and the mergeable states that produce them."""
