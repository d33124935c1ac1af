"""Classical models of scikit-learn on the examples and features of an experiment, for the leaderboard of a study."""
