"""The tables of docs/reference/config.md, a page that is otherwise written by hand."""

from ctr.config.data import Data
from ctr.config.experiment import Experiment
from ctr.config.initializer import Initializer
from ctr.config.optimizers import Optimizers, TowerOptimizer
from ctr.config.registry_settings import ScheduleSettings
from ctr.config.report import Report
from ctr.config.training import Training
from features import KINDS, Features
from generated_docs.markdown import DOCS, with_parts
from generated_docs.settings_tables import FEATURE, description, settings_table

PAGE = "reference/config.md"
SECTIONS = {
    "data": Data,
    "features": Features,
    "initializer": Initializer,
    "optimizers": Optimizers,
    "dense optimizers": TowerOptimizer,
    "schedules": ScheduleSettings,
    "training": Training,
    "report": Report,
}
"""Name of a part of the page -> class of its settings."""


def pages() -> dict[str, str]:
    """Return the page with its tables."""
    sections = Experiment.model_fields.keys() - {"name", "seed"}
    parts = {
        "experiment settings": settings_table(Experiment, *sections),
        **{f"{name} settings": settings_table(cls) for name, cls in SECTIONS.items()},
        "feature types": "\n\n".join(_feature_type(name) for name in KINDS),
    }
    return {PAGE: with_parts((DOCS / PAGE).read_text("utf-8"), parts)}


def _feature_type(name: str) -> str:
    """Return the section of a feature type."""
    kind = KINDS[name]
    settings = settings_table(kind, "type", completed=kind.completed(FEATURE, {}, {}))
    return f"### `{name}`\n\n{description(kind)}\n\n{settings}"
