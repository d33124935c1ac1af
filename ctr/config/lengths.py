"""Lengths and intervals of training: in epochs, in steps or in minutes."""

from pydantic import PositiveFloat, model_validator

from features import Count, Settings


class EpochsOrSteps(Settings):
    """A length of training, in epochs or in steps."""

    epochs: Count | None = None
    """Number of epochs. Excludes `steps`."""
    steps: Count | None = None
    """Number of training steps. Excludes `epochs`."""

    @model_validator(mode="after")
    def _is_one(self) -> "EpochsOrSteps":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("needs a length. Set either `epochs` or `steps`.")
        return self

    def in_steps(self, steps_per_epoch: int) -> int:
        """Return the length in steps."""
        return self.steps or (self.epochs or 0) * steps_per_epoch


class StepsOrMinutes(Settings):
    """A number of training steps, or of minutes."""

    steps: Count | None = None
    """Number of training steps. Excludes `minutes`."""
    minutes: PositiveFloat | None = None
    """Minutes of training. Excludes `steps`."""

    @model_validator(mode="after")
    def _is_one(self) -> "StepsOrMinutes":
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("needs a length. Set either `steps` or `minutes`.")
        return self
