"""What a model costs: parameters, and floating-point operations of one row, part by part."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from models.ctr_model import CTRModel

PRODUCTS = {"MatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"}
REDUCTIONS = {"Sum", "Mean", "Max", "Min", "Prod"}
MOVES = {  # numbers are copied, none is computed
    *("Placeholder", "Const", "Fill", "ZerosLike", "OnesLike", "Identity", "IdentityN", "StopGradient", "Cast"),
    *("ReadVariableOp", "ResourceGather", "GatherV2", "GatherNd", "Slice", "StridedSlice", "Split", "SplitV", "Unpack"),
    *("ConcatV2", "Pack", "Pad", "PadV2", "BroadcastTo", "Tile", "ReverseV2", "ScatterNd"),
    *("Reshape", "Squeeze", "ExpandDims", "Transpose"),
}


class ComponentCost(NamedTuple):
    """What a part of a model costs."""

    part: str
    parameters: int
    """That are trained."""
    flops: int
    """Floating-point operations of one row's forward pass in evaluation mode."""


def cost_of(model: CTRModel, signature: Mapping[str, tf.TensorSpec]) -> list[ComponentCost]:
    """The cost of `tables` and of each tower, and of what the model's tower computes outside of them, by its name.

    Operations are those of the graph, for a row whose sequences are as long as the signature has them: 2 for each
    multiply-add of a matrix product or einsum, 1 for each number that a sum, mean or extreme takes, and 1 for each
    number that any other operation gives, be it an addition or a sigmoid. Looking up, copying, integers and what is
    done once a batch, such as a batch norm's square roots, count nothing.

    Args:
        model: any; it stays as it is.
        signature: of its batches, as `features.batch_signature` or the `element_spec` of a dataset; the number of rows
            may be open, the length of a sequence may not.

    Raises:
        ValueError: a tower has a loop, a branch or a `tf.function`.

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
    parts = {"tables": [model.tables], **model.tower.blocks}
    part_of = {layer.name: part for part, layers in parts.items() for layer in layers}
    of_one, flops = _flops(model, signature, part_of)
    flops.subtract(of_one)  # leaves what one row adds, not what a batch costs once
    costs = []
    for part, layers in parts.items():
        variables = [variable for layer in layers for variable in layer.trainable_variables]
        costs.append(ComponentCost(part, sum(math.prod(variable.shape) for variable in variables), flops.pop(part, 0)))
    return costs + [ComponentCost(part, 0, count) for part, count in flops.items() if count]


def _flops(
    model: CTRModel, signature: Mapping[str, tf.TensorSpec], part_of: Mapping[str, str]
) -> tuple[Counter[str], Counter[str]]:
    """Part -> operations of a batch of one row, and of two, with full sequences, by the part of each layer's name.

    A shape may depend on values, such as how long the histories are: so sizes are tensors, of a batch that is run.
    """

    def count(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        model(batch, training=False)
        counts: dict[str, list[tf.Tensor]] = {}
        for operation in tf.compat.v1.get_default_graph().get_operations():
            scopes = operation.name.split("/")  # Keras calls each layer in a scope of its name
            part = next((part_of[scope] for scope in scopes if scope in part_of), model.tower.name)
            counts.setdefault(part, []).append(_operations(operation))
        return {part: tf.add_n(some) for part, some in counts.items()}

    spec = {key: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype) for key, spec in signature.items()}
    counted = tf.function(count, input_signature=[spec], autograph=False)

    def of(rows: int) -> Counter[str]:
        batch = {key: tf.zeros([rows, *one.shape[1:]], one.dtype) for key, one in spec.items()}
        for key, one in spec.items():
            if key.startswith("sequences/"):
                batch[f"lengths/{key.removeprefix('sequences/')}"] = tf.fill([rows], one.shape[1])
        return Counter({part: int(total) for part, total in counted(batch).items()})

    return of(1), of(2)


def _operations(operation: tf.Operation) -> tf.Tensor:
    results = [tensor for tensor in operation.outputs if tensor.dtype.is_floating]
    if not results or operation.type in MOVES:
        return tf.constant(0, tf.int64)
    if any(attribute.HasField("func") for attribute in operation.node_def.attr.values()):
        raise ValueError(
            f"what {operation.name} ({operation.type}) costs is inside a function, where nothing is counted"
        )
    counted = operation.inputs[:1] if operation.type in REDUCTIONS else results
    size = tf.add_n([tf.size(tensor, tf.int64) for tensor in counted])
    return 2 * size * _summed(operation) if operation.type in PRODUCTS else size


def _summed(product: tf.Operation) -> tf.Tensor:
    """How many numbers each number of a matrix product is the sum of."""
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
