"""What the command line tells in one line; here, apart from what needs TensorFlow, so that reports open at once."""


class ConfigError(ValueError):
    """A config or a folder that cannot be used: the message names the key, what was received and what to do."""


class CodeRefused(ConfigError):
    """A config names code of the user's own that is not trusted, not found or not fit."""


class Damaged(ConfigError):
    """A file is not what was written.

    Args:
        what: a sentence that names the file and what is wrong with it.
        mend: what to do, the next sentence of the message.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what} {mend}".rstrip())
        self.what = what


class Interrupted(Exception):
    """A signal ended the job; what it had done is saved."""

    exit_code = 75


class Diverged(ArithmeticError):
    """Loss, gradients or scores are no longer finite."""

    exit_code = 3
