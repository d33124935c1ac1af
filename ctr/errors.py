"""Errors that the command line prints as one message. No TensorFlow is needed to import them."""


class ConfigError(ValueError):
    """A config or a folder that cannot be used; the message names the key, the value received and what to do."""


class CodeRefused(ConfigError):
    """A config names user code that is not trusted, not found or not suitable."""


class Damaged(ConfigError):
    """A file that is missing, or differs from what was written.

    Args:
        what: a sentence that names the file and what is wrong with it.
        remedy: advice on what to do, the next sentence of the message.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}".rstrip())
        self.what = what


class Interrupted(Exception):
    """A signal ended the command; its progress is saved."""

    exit_code = 75


class Diverged(ArithmeticError):
    """Loss, gradients or scores are not finite."""

    exit_code = 3
