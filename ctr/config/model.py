"""The section `model`: a registered model or a class of the user's own, with its arguments."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from pydantic import PositiveInt

from ctr.config.batch_norm import BatchNormSetting
from ctr.config.registry_settings import PartSettings, settings_from_registry
from ctr.config.user_code import is_user_code
from features import Settings
from models import MODELS, BatchNorm, Stream, Tower

PAGE = "See Models of other libraries in docs/how-to/migrate.md."
MODELS_ELSEWHERE = {
    **dict.fromkeys(("wdl", "wide&deep", "wideanddeep"), "wide_deep"),
    **dict.fromkeys(("mlp", "fnn", "deep"), "dnn"),
    **dict.fromkeys(("crossnet", "dcnv1"), "dcn"),
    **dict.fromkeys(("dcnm", "crossnetv2"), "dcn_v2"),
    **dict.fromkeys(("gdcnp", "gdcns"), "gdcn"),
    "autoint+": "auto_int",
    **dict.fromkeys(("dcnv3", "fcnv1", "ecn", "lcn"), "fcn"),
    **dict.fromkeys(("lr", "logistic", "logisticregression"), "linear"),
    **dict.fromkeys(("ffm", "fwfm", "fmfm", "afm"), "fm"),
    **dict.fromkeys(("nfm",), "deepfm"),
    **dict.fromkeys(("pnn", "ipnn", "opnn"), "compressed_dot"),
    **dict.fromkeys(("xdeepfm", "fibinet", "masknet", "edcn"), "dcn_v2"),
    "qnnalpha": "qnn",
    "final": "final_net",
    "dualmlp": "final_mlp",
    **dict.fromkeys(("dien", "dsin", "bst", "sim", "multitowerdin"), "din"),
}
"""Name of a model in other libraries, without case, hyphens and underscores -> the model to try first here."""
ELSEWHERE = {
    **{name: f"Use {ours}, the nearest here. {PAGE}" for name, ours in MODELS_ELSEWHERE.items()},
    **dict.fromkeys(("mmoe", "ple", "esmm"), f"Train one model for each label. {PAGE}"),
}
"""Name of a model in other libraries -> what to do."""
BATCH_NORM = bool | BatchNorm
"""Annotation of an argument of towers."""
UNFIT_BASES = {
    "can": "cannot be its own base. Choose another model.",
    "two_stream": "cannot be a base. Make can a stream of two_stream.",
}
Base: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS,
    "seed",
    "initializer",
    unfit=UNFIT_BASES,
    arguments={BATCH_NORM: BatchNormSetting},
    user_base=Tower,
    elsewhere=ELSEWHERE,
)
"""The tower that `can` extends."""


class StreamSettings(PartSettings):
    """Settings that every model accepts in a stream of `two_stream`."""

    dim: PositiveInt | None = None
    """Width of the embeddings of all features in the stream; `null`: the width of each feature."""


StreamModel: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS,
    "seed",
    "initializer",
    base=StreamSettings,
    unfit={"two_stream": "cannot be its own stream. Choose another model."},
    arguments={BATCH_NORM: BatchNormSetting, Tower: Base},
    user_base=Tower,
    elsewhere=ELSEWHERE,
)


class Streams(Settings):
    """The two streams of `two_stream`."""

    easy: StreamModel
    """Model of the stream `easy`."""
    hard: StreamModel
    """Model of the stream `hard`."""


Model: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS,
    "seed",
    "initializer",
    arguments={BATCH_NORM: BatchNormSetting, Tower: Base, Mapping[str, Stream]: Streams},
    user_base=Tower,
    elsewhere=ELSEWHERE,
)


class ModelPart(NamedTuple):
    """A model, or a model inside another: the `base` of `can`, a stream of `two_stream`."""

    settings: Any
    """Settings of the model."""
    tables: str
    """Text in front of the names of its own tables: empty, or text that ends with a slash."""


def model_parts(settings: Any, tables: str = "") -> Iterator[ModelPart]:
    """Yield a model, then the models inside it.

    Args:
        settings: settings of the model.
        tables: text in front of the names of its own tables.
    """
    yield ModelPart(settings, tables)
    for name, value in settings:
        if isinstance(value, PartSettings):
            yield from model_parts(value, tables)
        if isinstance(value, Streams):
            for stream, model in value:
                yield from model_parts(model, f"{tables}{name}/{stream}/")


def has_dropout(model: Any) -> bool | None:
    """Return True if a model drops out, False if each `dropout` is 0, and None if it has no such setting.

    The models inside it count. A class of the user's own counts as True, because it can have dropout without a setting.

    Args:
        model: settings of the section `model`.
    """
    parts = [part.settings for part in model_parts(model)]
    named = [value for settings in parts for name, value in settings if name.startswith("dropout")]
    dropouts = [value for value in named if value is not None]  # null takes the value of `dropout`
    if any(is_user_code(settings.type) for settings in parts):
        return True
    return any(value > 0 for value in dropouts) if dropouts else None
