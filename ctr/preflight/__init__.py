"""What can be known before a training: that it fits the machine, and what its data is like."""
