"""Training: data of an experiment, model, training loop, checkpoints, resume and warm start."""
