"""The section `model`: a registered model or a class of the user's own, with its arguments."""

from typing import TypeAlias

from ctr.config.registry_settings import settings_from_registry
from models import MODELS, Tower

Base: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS, "seed", "initializer", unfit={"can": "cannot be its own base. Choose another model."}, user_base=Tower
)
"""The tower that `can` extends."""
Model: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS, "seed", "initializer", arguments={"base": Base}, user_base=Tower
)
