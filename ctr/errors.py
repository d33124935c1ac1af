"""What the command line tells in one line; here, apart from what needs TensorFlow, so that reports open at once."""


class ConfigError(ValueError):
    """A config or a folder that cannot be used: the message names the key, what was received and what to do."""


class Interrupted(Exception):
    """A signal ended the job; what it had done is saved."""


class Diverged(ArithmeticError):
    """Loss, gradients or scores are no longer finite."""
