"""Fits of features to the training data, each with the mergeable state that it is made from."""
