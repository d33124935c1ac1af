"""Explain why a step diverged, naming embeddings, values and columns that are involved; warn of high losses."""

import math
import reprlib
import shlex
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ctr.errors import Diverged
from ctr.runs.run import Run
from ctr.training.embedding_lookups import embedding_lookups
from ctr.training.step import LARGEST_NORM, Tensors, replica_batch
from ctr.training.step_snapshot import save_snapshot
from features import PADDING, Batch, Encoder, decoded_batch, describe_row, take
from models import CTRModel, Field

EXTREME = 1000.0  # values and weights above it are reported
MAX_TABLES, MAX_ITEMS, MAX_FEATURES = 2, 3, 6  # tables; embeddings of each, and values; features of an example
FAR_ABOVE = 10.0  # times the median
WINDOW, MIN_LOSSES = 100, 10  # number of losses for the median


class LossWatch:
    """Warns once if a loss is above 10 times the median of the previous 100 losses, or of at least 10.

    Args:
        warn: function that is called with the message.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn, self._has_warned = warn, False
        self._previous: deque[float] = deque(maxlen=WINDOW)

    def see(self, step: int, loss: float) -> None:
        """Check the loss of a step; steps count from 1."""
        if self._has_warned:
            return
        if len(self._previous) >= MIN_LOSSES and loss > FAR_ABOVE * (usual := median(self._previous)):
            self._has_warned = True
            self._warn(
                f"step {step}: loss {loss:.4g} is far above {usual:.4g}, the median of the previous "
                f"{len(self._previous)} steps. If training diverges, lower the learning rate or set "
                f"optimizers.clip_norm."
            )
        self._previous.append(loss)


class Gradient(NamedTuple):
    """Gradient of a variable before clipping, over all replicas."""

    is_finite: bool
    """True if each number is finite before replicas and duplicate rows are summed."""
    norms: np.ndarray
    """Norms of the summed gradient, float64: one for each embedding of a table, or one for a tower variable."""
    rows: np.ndarray | None
    """Row of each norm; None for a tower variable."""


def explain_divergence(
    model: CTRModel, encoder: Encoder, loss: float, batch: Batch, tensors: Tensors, run: Run
) -> Diverged:
    """Return the error for a step whose update was skipped, and save the step in `diverged/` of the run.

    Args:
        model: model after the skipped update, which equals the model before it.
        encoder: encoder of the batch.
        loss: loss of the batch.
        batch: batch of the step.
        tensors: the batch on the model's device.
        run: run that receives `diverged/step-N.parquet`, N from 1, and the other files of `save_snapshot`.
    """
    step = int(model.step.numpy()) + 1
    saved = _save(model, encoder, batch, run, f"step-{step:09d}.parquet")
    is_scoreless = ~np.isfinite(model(tensors, training=False).numpy())
    gradients, is_sum_finite = _gradients(model, tensors)
    threshold = math.inf  # gradient norm from which a gradient is reported
    if not np.isfinite(loss):
        cause = f"the loss is {loss}"
    elif not all(gradient.is_finite for gradient in gradients):
        cause = f"the loss is {loss:.6g}, but gradients are not finite"
    elif not all(np.isfinite(tf.identity(variable).numpy()).all() for variable in model.non_trainable_variables):
        cause = f"the loss is {loss:.6g}, but a moving average of batch normalization is not finite"
    else:
        # if no gradient is too large by itself, their sum is: then the largest is reported
        threshold = min(LARGEST_NORM, max(float(gradient.norms.max()) for gradient in gradients))
        overflowed = "a sum of gradients or the norm that clip_norm bounds"
        if is_sum_finite:
            overflowed = "the sum of a gradient's squares"
        cause = f"the loss is {loss:.6g}, but {overflowed} is not finite"
    lines = [
        f"step {step}: {cause}; the update was skipped",
        *_tables(model, encoder, batch, gradients, threshold, is_scoreless),
        *_blocks(model, gradients, threshold),
        *_values(encoder, batch),
        *_example(encoder, batch, is_scoreless),
        saved,
        "To fix this, lower the learning rate, set optimizers.clip_norm, or bound numeric features with `clip` or "
        "`transform: log1p`.",
    ]
    return Diverged("\n  ".join(lines))


def _save(model: CTRModel, encoder: Encoder, batch: Batch, run: Run, name: str) -> str:
    try:
        save_snapshot(run.folder / "diverged" / name, model, encoder, batch)
    except OSError as error:
        return f"the batch could not be saved: {error}"
    path = run.failed_run_folder("diverged") / "diverged" / name
    return f"the batch is saved. To locate the cause, run: ctr replay {shlex.quote(str(path))}"


def _gradients(model: CTRModel, tensors: Tensors) -> tuple[list[Gradient], bool]:
    """Return the gradients of `trainable_variables`, and True if all are finite after summing and clipping."""
    strategy = model.distribute_strategy

    def computed(batch: Tensors) -> tuple[list[Any], list[Any]]:
        # this also updates moving averages, which are read afterwards only to report those that are not finite
        _, gradients = model.loss_and_gradients(replica_batch(batch))
        return gradients, model.optimizer.combine(gradients, model.trainable_variables)

    gradients, combined = strategy.run(computed, args=(tensors,))
    applied = [strategy.experimental_local_results(gradient)[0] for gradient in combined]
    is_sum_finite = all(np.isfinite(getattr(gradient, "values", gradient).numpy()).all() for gradient in applied)
    return [_of_replicas(strategy.experimental_local_results(gradient)) for gradient in gradients], is_sum_finite


def _of_replicas(gradients: Sequence[Any]) -> Gradient:
    if not isinstance(gradients[0], tf.IndexedSlices):
        values = np.stack([gradient.numpy() for gradient in gradients])
        with np.errstate(invalid="ignore"):
            summed = values.sum(axis=0, dtype=np.float64)
        return Gradient(_is_finite(values), _norms(summed.reshape(1, -1)), None)
    values, rows = (
        np.concatenate([getattr(gradient, name).numpy() for gradient in gradients]) for name in ("values", "indices")
    )
    distinct, indices = np.unique(rows, return_inverse=True)
    summed = np.zeros((len(distinct), values.shape[1]))
    with np.errstate(invalid="ignore"):
        np.add.at(summed, indices, values)
    return Gradient(_is_finite(values), _norms(summed), distinct)


def _is_finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())


def _norms(rows: np.ndarray) -> np.ndarray:
    """Return Euclidean norms in float64, in which squares of float32 cannot overflow; NaN and infinity propagate."""
    return np.sqrt(np.square(rows).sum(axis=1))


def _tables(
    model: CTRModel,
    encoder: Encoder,
    batch: Batch,
    gradients: list[Gradient],
    threshold: float,
    is_scoreless: np.ndarray,
) -> list[str]:
    """Return lines on tables with extreme embeddings, or without them on tables with gradients that are not finite.

    With a finite `threshold`: lines on tables with such a gradient, followed by tables with extreme embeddings.

    Args:
        model: model before the step.
        encoder: encoder of the batch.
        batch: batch of the step.
        gradients: gradients of the trainable variables.
        threshold: norm from which a gradient is reported; infinity to report only gradients that are not finite.
        is_scoreless: mask of the examples without a finite score.
    """
    pairs = zip(model.trainable_variables, gradients, strict=True)
    gradient_of = {id(variable): gradient for variable, gradient in pairs}
    suspects = take(batch, is_scoreless) if is_scoreless.any() else batch
    weight_lines, gradient_lines = {}, {}
    for lookup in embedding_lookups(model):
        names = [_feature_of(encoder, field) for field in lookup.fields]
        columns = dict.fromkeys(column for name in names for column in encoder.features.columns_of(name))
        table = f"table {lookup.table.name!r} (columns: {', '.join(columns)})"
        rows = lookup.rows(batch)
        [weights] = lookup.weights.gather(rows)
        sizes = np.abs(weights.numpy()).max(axis=1)
        is_extreme = ~(sizes <= EXTREME)
        if is_extreme.any():
            examples = _describe_rows(encoder, names[0], rows[is_extreme])
            weight_lines[lookup.table.name] = f"{table} has weight {sizes[is_extreme].max():.6g} in {examples}"
        gradient = gradient_of[id(lookup.fused)]
        assert gradient.rows is not None
        norm_of = dict(zip((gradient.rows - lookup.offset).tolist(), gradient.norms.tolist(), strict=True))
        extreme = [row for row, norm in norm_of.items() if not norm < threshold]
        culprits = np.intersect1d(extreme, lookup.rows(suspects))
        if len(culprits := culprits[culprits != PADDING]):
            largest = max(norm_of[row] for row in culprits.tolist())
            gradient_text = "no finite gradient" if math.isinf(threshold) else f"a gradient of norm {largest:.6g}"
            examples = _describe_rows(encoder, names[0], culprits)
            gradient_lines[lookup.table.name] = f"{table} has {gradient_text} in {examples}"
    if math.isinf(threshold):
        return _first_tables(weight_lines or gradient_lines)
    return _first_tables(gradient_lines) + _first_tables(weight_lines)


def _first_tables(lines: dict[str, str]) -> list[str]:
    """Return the lines of the first tables, and one line that names the others."""
    others = list(lines)[MAX_TABLES:]
    return [*lines.values()][:MAX_TABLES] + ([f"also affected: tables {_first_items(others)}"] if others else [])


def _describe_rows(encoder: Encoder, name: str, rows: np.ndarray) -> str:
    return _first_items([f"row {row} ({describe_row(encoder, name, row)})" for row in rows.tolist()])


def _first_items(items: list[str]) -> str:
    more = f" and {len(items) - MAX_ITEMS} more" if len(items) > MAX_ITEMS else ""
    return ", ".join(items[:MAX_ITEMS]) + more


def _feature_of(encoder: Encoder, field: Field) -> str:
    """Return the feature whose ids a field looks up."""
    if field.sequence is not None:
        return field.sequence
    assert field.column is not None
    return encoder.id_features[field.column]


def _blocks(model: CTRModel, gradients: list[Gradient], threshold: float) -> list[str]:
    """Return a line on blocks with extreme weights and a line on blocks with extreme gradients, as `_tables` does."""
    variables = list(zip(model.logical_variables, model.trainable_variables, gradients, strict=True))
    largest: dict[str, float] = {}
    norm_of: dict[str, float] = {}
    for (kind, names), variable, gradient in variables:
        if kind == "tower":
            size = float(np.abs(variable.numpy()).max())
            largest[names[0]] = float(np.maximum(largest.get(names[0], 0.0), size))
            norm = float(gradient.norms[0])
            if not norm < threshold:
                norm_of[names[0]] = max(norm_of.get(names[0], 0.0), norm)
    extreme = [f"{name} ({size:.6g})" for name, size in largest.items() if not size <= EXTREME]
    weight_lines = [f"blocks with extreme weights: {', '.join(extreme)}"] if extreme else []
    if not norm_of:
        return weight_lines
    if math.isinf(threshold):
        return weight_lines or [f"blocks without a finite gradient: {', '.join(norm_of)}"]
    norms = [f"{name} ({norm:.6g})" for name, norm in norm_of.items()]
    return [f"blocks with an extreme gradient norm: {', '.join(norms)}", *weight_lines]


def _values(encoder: Encoder, batch: Batch) -> list[str]:
    """Return a line on the extreme values of numeric features and weights of the batch, as the model reads them."""
    numbers = dict(zip(encoder.layout["numerics"], batch["numerics"].T, strict=True))
    columns = {name: encoder.features.columns_of(name)[0] for name in numbers if name in encoder.features.columns}
    assert encoder.columns is not None
    if encoder.columns.weight is not None:
        numbers["weight"] = batch["weight"]
        columns["weight"] = encoder.columns.weight
    indices = {name: int(np.abs(values).argmax()) for name, values in numbers.items()}
    largest = {name: float(numbers[name][index]) for name, index in indices.items()}
    extreme = sorted((name for name in columns if abs(largest[name]) > EXTREME), key=lambda name: -abs(largest[name]))
    texts = [f"{name} (column {columns[name]}) is {largest[name]:.6g} in row {indices[name]}" for name in extreme]
    return [f"extreme values: {_first_items(texts)}"] if texts else []


def _example(encoder: Encoder, batch: Batch, is_scoreless: np.ndarray) -> list[str]:
    """Return a line on the first example of the batch without a finite score."""
    if not is_scoreless.any():
        return []
    index, count = int(is_scoreless.argmax()), int(is_scoreless.sum())
    columns = decoded_batch(encoder, take(batch, slice(index, index + 1)))
    values = {name: columns[name][0].as_py() for name in encoder.features.columns if name in columns}
    texts = [f"{name} {f'{x:.6g}' if isinstance(x, float) else reprlib.repr(x)}" for name, x in values.items()]
    more = [f"and {len(texts) - MAX_FEATURES} more in the file"] if len(texts) > MAX_FEATURES else []
    return [
        f"examples without a finite score: {count} of {len(is_scoreless)}; the first is in row {index}: "
        f"{', '.join(texts[:MAX_FEATURES] + more)}"
    ]
