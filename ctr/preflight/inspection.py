"""Results of an inspection of a config and its data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ctr.checks.finding import Finding
from ctr.errors import ConfigError
from ctr.preflight.profile import SplitProfile
from ctr.preflight.resources import ResourceEstimate
from ctr.runs.machine import OwnMemory
from ctr.schema.levels import Level
from ctr.training.data import PreparedData
from features import DataError, RowGroup


@dataclass
class Inspection:
    """Results of `ctr inspect`; None for results that an error prevented."""

    findings: list[Finding] = field(default_factory=list)
    splits: dict[str, list[RowGroup]] | None = None
    estimate: ResourceEstimate | None = None
    prepared: PreparedData | None = None
    profiles: dict[str, SplitProfile] | None = None
    own_memory: OwnMemory | None = None
    """Memory of this process after the data was prepared, before it was profiled."""

    @property
    def worst(self) -> Level:
        """The level of the worst finding."""
        return min((finding.level for finding in self.findings), key=lambda level: level.rank)

    @contextmanager
    def stage(self, check: str, ok: str | None = None) -> Iterator[None]:
        """Turn an error raised inside into a finding; without one, add the sentence `ok` if it is given."""
        try:
            yield
        except (ConfigError, DataError, OSError) as error:
            self.findings.append(Finding(Level.ERROR, check, f"{check}: {error}"))
        else:
            if ok is not None:
                self.findings.append(Finding(Level.OK, check, f"{check}: {ok}"))
