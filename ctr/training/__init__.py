"""Training: the data of an experiment, the model built for it, its steps, checkpoints and resumption."""
