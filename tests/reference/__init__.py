"""Optimizers and models in float64 NumPy, written from their formulas; they share no code with the project."""
