"""Model cost: parameters, and floating-point operations per example, by component."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from models.ctr_model import CTRModel

PRODUCTS = {"MatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"}
REDUCTIONS = {"Sum", "Mean", "Max", "Min", "Prod"}
MOVES = {  # operations that copy numbers and compute none
    *("Placeholder", "Const", "Fill", "ZerosLike", "OnesLike", "Identity", "IdentityN", "StopGradient", "Cast"),
    *("ReadVariableOp", "ResourceGather", "GatherV2", "GatherNd", "Slice", "StridedSlice", "Split", "SplitV", "Unpack"),
    *("ConcatV2", "Pack", "Pad", "PadV2", "BroadcastTo", "Tile", "ReverseV2", "ScatterNd"),
    *("Reshape", "Squeeze", "ExpandDims", "Transpose"),
}


class ComponentCost(NamedTuple):
    """Cost of one component of a model."""

    name: str
    """`tables`, a block of the tower, or the name of the tower."""
    parameters: int
    """Number of trained parameters."""
    flops: int
    """Floating-point operations per example of a forward pass in evaluation mode."""


def cost_of(model: CTRModel, signature: Mapping[str, tf.TensorSpec]) -> list[ComponentCost]:
    """Return the cost of `tables`, of each block of the tower, and of the tower's computation outside its blocks.

    Operations are those of the graph, for an example whose sequences have the full length of the signature: 2 for each
    multiply-add of a matrix product or einsum, 1 for each input of a sum, mean or extreme, and 1 for each output of any
    other operation, such as an addition or a sigmoid. Lookups, copies, integer operations and operations done once per
    batch, such as a batch normalization's square roots, are not counted.

    Args:
        model: model, which does not change.
        signature: signature of its batches, such as `features.batch_signature` or a dataset's `element_spec`. The
            number of examples can be open, the length of a sequence cannot.

    Raises:
        ValueError: a tower contains a loop, a branch or a `tf.function`.

    >>> from models import DNN, Field, Inputs, Table
    >>> inputs = Inputs((Table("user", 10, 4),), (Field("user", "user", column=0),), (), ())
    >>> model = CTRModel(inputs, DNN(hidden=[8], batch_norm=False))
    >>> signature = {"ids": tf.TensorSpec([None, 1], tf.int32), "numerics": tf.TensorSpec([None, 0])}
    >>> for cost in cost_of(model, signature):
    ...     print(*cost)
    tables 40 0
    deep 40 80
    head 9 17
    """
    components = {"tables": [model.tables], **model.tower.blocks}
    component_of = {layer.name: name for name, layers in components.items() for layer in layers}
    flops_of_one, flops = _flops(model, signature, component_of)
    flops.subtract(flops_of_one)  # leaves what one example adds, without operations done once per batch
    costs = []
    for name, layers in components.items():
        variables = [variable for layer in layers for variable in layer.trainable_variables]
        costs.append(ComponentCost(name, sum(math.prod(variable.shape) for variable in variables), flops.pop(name, 0)))
    return costs + [ComponentCost(name, 0, count) for name, count in flops.items() if count]


def _flops(
    model: CTRModel, signature: Mapping[str, tf.TensorSpec], component_of: Mapping[str, str]
) -> tuple[Counter[str], Counter[str]]:
    """Return component -> operations for a batch of one example and for a batch of two, with full sequences.

    `component_of` maps a layer's name to its component. Shapes can depend on values, such as the lengths of sequences,
    so sizes are tensors, evaluated on a batch.
    """

    def count(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        model(batch, training=False)
        counts: dict[str, list[tf.Tensor]] = {}
        for operation in tf.compat.v1.get_default_graph().get_operations():
            scopes = operation.name.split("/")  # Keras calls each layer in a scope of its name
            name = next((component_of[scope] for scope in scopes if scope in component_of), model.tower.name)
            counts.setdefault(name, []).append(_operations(operation))
        return {name: tf.add_n(sizes) for name, sizes in counts.items()}

    spec = {key: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype) for key, spec in signature.items()}
    count_in_graph = tf.function(count, input_signature=[spec], autograph=False)

    def count_batch(examples: int) -> Counter[str]:
        batch = {key: tf.zeros([examples, *array.shape[1:]], array.dtype) for key, array in spec.items()}
        for key, array in spec.items():
            if key.startswith("sequences/"):
                batch[f"lengths/{key.removeprefix('sequences/')}"] = tf.fill([examples], array.shape[1])
        return Counter({name: int(total) for name, total in count_in_graph(batch).items()})

    return count_batch(1), count_batch(2)


def _operations(operation: tf.Operation) -> tf.Tensor:
    results = [tensor for tensor in operation.outputs if tensor.dtype.is_floating]
    if not results or operation.type in MOVES:
        return tf.constant(0, tf.int64)
    if any(attribute.HasField("func") for attribute in operation.node_def.attr.values()):
        raise ValueError(
            f"{operation.name} ({operation.type}): cannot count operations inside a function. "
            f"Write the layer without a loop, a branch or tf.function."
        )
    counted = operation.inputs[:1] if operation.type in REDUCTIONS else results
    size = tf.add_n([tf.size(tensor, tf.int64) for tensor in counted])
    return 2 * size * _summed(operation) if operation.type in PRODUCTS else size


def _summed(product: tf.Operation) -> tf.Tensor:
    """Return the number of products summed into each element of a matrix product."""
    shapes = [tf.unstack(tf.shape(tensor, tf.int64)) for tensor in product.inputs]
    if product.type != "Einsum":
        is_transposed = product.get_attr("transpose_a" if product.type == "MatMul" else "adj_x")
        return shapes[0][-2 if is_transposed else -1]
    terms, result = product.get_attr("equation").decode().split("->")
    sizes: dict[str, tf.Tensor] = {}
    for term, shape in zip(terms.split(","), shapes, strict=True):
        first, _, last = term.partition("...")
        sizes |= zip(first, shape, strict=False)
        sizes |= zip(reversed(last), reversed(shape), strict=False)
    return math.prod(size for label, size in sizes.items() if label not in result)
