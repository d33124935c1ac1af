"""Optimizers and models in float64 NumPy, written from their formulas. They share no code with the project."""
