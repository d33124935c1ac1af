"""Fused tables look up the same values as plain indexing of separate tables, and read only the rows they need."""

from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Category, EmbeddingTables, Field, Inputs, SequenceInput, Table

STDDEV = 0.1
INPUTS = Inputs(
    tables=(Table("user", 30, 4), Table("hour", 9, 2), Table("item", 20, 4), Table("price", 8, 2), Table("tag", 12, 3)),
    fields=(
        Field("user", "user", column=1),
        Field("hour", "hour", column=0),
        Field("item", "item", column=2),
        Field("history", "item", sequence="history", pooling="mean"),
        Field("price", "price", column=3, scale=1),
        Field("tags", "tag", sequence="tags", pooling="sum"),
        Field("item again", "item", column=2),
    ),
    numerics=("age", "price", "height"),
    plain=(2, 0),
)


@pytest.fixture(params=["float32", "mixed_bfloat16"])
def policy(request):
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf_keras.mixed_precision.set_global_policy(before)


def a_batch(inputs, size=6, seed=0, length=5):
    """Return random ids, numerics and sequences, padded by 0; the first row's sequences are empty."""
    random = np.random.default_rng(seed)
    rows = {table.name: table.rows for table in inputs.tables}
    columns = {field.column: rows[field.table] for field in inputs.fields if field.column is not None}
    batch = {
        "ids": np.stack([random.integers(0, columns[c], size) for c in sorted(columns)], axis=1).astype(np.int32)
        if columns
        else np.zeros([size, 0], np.int32),
        "numerics": random.normal(size=[size, len(inputs.numerics)]).astype(np.float32),
    }
    for field in inputs.fields:
        if field.sequence is not None:
            lengths = random.integers(0, length + 1, size).astype(np.int32)
            lengths[0] = 0
            ids = random.integers(0, rows[field.table], [size, length]).astype(np.int32)
            batch[f"sequences/{field.sequence}"] = ids * (np.arange(length) < lengths[:, None])
            batch[f"lengths/{field.sequence}"] = lengths
    return batch


def start_of(table, seed=0):
    """Return the initial values of a table that is the only one of its layer, and so of its variable."""
    inputs = Inputs((table,), (Field("only", table.name, column=0),), (), ())
    [variable] = EmbeddingTables(inputs, STDDEV, seed).trainable_variables
    return variable.numpy()


def vector(field, weights, batch, row):
    """Return the vector of one field in one row of a batch, by plain indexing."""
    table = weights[field.table]
    if field.sequence is None:
        found = table[batch["ids"][row, field.column]]
        return found if field.scale is None else found * batch["numerics"][row, field.scale]
    ids = batch[f"sequences/{field.sequence}"][row, : batch[f"lengths/{field.sequence}"][row]]
    if len(ids) == 0:
        return np.zeros(table.shape[1], np.float32)
    return table[ids].mean(axis=0) if field.pooling == "mean" else table[ids].sum(axis=0)


def plainly(inputs, batch):
    """Return [batch, width]: fields in declared order, then the plain numerics."""
    weights = {table.name: start_of(table) for table in inputs.tables}
    plain = batch["numerics"][:, list(inputs.plain)]
    fields = [np.stack([vector(f, weights, batch, row) for row in range(len(plain))]) for f in inputs.fields]
    return np.concatenate([*fields, plain], axis=1)


def by_name(*groups):
    return {name: str(place) for place, group in enumerate(groups) for name in group}


APART = by_name(*([table.name] for table in INPUTS.tables))
every_grouping = pytest.mark.parametrize(
    "grouping",
    [None, by_name(["user", "hour", "tag"], ["item", "price"]), APART],
    ids=["by width", "two groups", "each apart"],
)


@every_grouping
def test_vectors_are_those_of_plain_indexing_in_declared_order(grouping):
    tables, batch = EmbeddingTables(INPUTS, STDDEV, 0, grouping), a_batch(INPUTS)

    x0 = tables(batch)["deep"].numpy()

    np.testing.assert_allclose(x0, plainly(INPUTS, batch), rtol=1e-6, atol=1e-7)
    assert x0.shape[1] == tables.width


@st.composite
def layouts(draw):
    """Draw tables of widths 1 to 3 in up to two groups, and fields of every kind in any order."""
    dims = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    tables = tuple(Table(f"t{place}", 4 + place, dim) for place, dim in enumerate(dims))
    kinds = draw(st.lists(st.sampled_from(["id", "scaled", "mean", "sum"]), max_size=5))
    # every table has a field of its own, and some have more
    uses = [(table.name, "id") for table in tables] + [(draw(st.sampled_from(tables)).name, kind) for kind in kinds]
    fields, columns = [], 0
    for place, (table, kind) in enumerate(draw(st.permutations(uses))):
        if kind in ("mean", "sum"):
            fields.append(Field(f"f{place}", table, sequence=f"s{place}", pooling=kind))
        else:
            scale = draw(st.integers(0, 2)) if kind == "scaled" else None
            fields.append(Field(f"f{place}", table, column=columns, scale=scale))
            columns += 1
    plain = tuple(draw(st.permutations(range(3)))[: draw(st.integers(0, 3))])
    grouping = draw(st.none() | st.fixed_dictionaries({table.name: st.sampled_from(["a", "b"]) for table in tables}))
    return Inputs(tables, tuple(fields), ("n0", "n1", "n2"), plain), grouping


@settings(max_examples=30, deadline=None, derandomize=True)
@given(layout=layouts(), seed=st.integers(0, 1000))
def test_vectors_are_those_of_plain_indexing_whatever_the_layout(layout, seed):
    inputs, grouping = layout
    batch = a_batch(inputs, size=3, seed=seed)

    x0 = EmbeddingTables(inputs, STDDEV, 0, grouping)(batch)["deep"].numpy()

    np.testing.assert_allclose(x0, plainly(inputs, batch), rtol=1e-6, atol=1e-6)


def test_a_lookup_without_arithmetic_is_exact():
    inputs = Inputs(INPUTS.tables[:3], INPUTS.fields[:3], INPUTS.numerics, INPUTS.plain)
    batch = a_batch(inputs, size=50)

    x0 = EmbeddingTables(inputs, STDDEV, 0)(batch)["deep"].numpy()

    np.testing.assert_array_equal(x0, plainly(inputs, batch))


def test_an_empty_list_is_the_zero_vector():
    fields = tuple(Field(p, "item", sequence=p, pooling=p) for p in ("mean", "sum"))
    batch = {"ids": np.zeros([2, 0], np.int32), "numerics": np.zeros([2, 0], np.float32)}
    for name in ("mean", "sum"):
        batch |= {f"sequences/{name}": np.full([2, 3], 7, np.int32), f"lengths/{name}": np.array([0, 1], np.int32)}

    x0 = EmbeddingTables(Inputs((Table("item", 9, 4),), fields, (), ()), STDDEV, 0)(batch)["deep"].numpy()

    np.testing.assert_array_equal(x0[0], np.zeros(8))
    assert (x0[1] != 0).all()


def test_only_numerics_need_no_table():
    batch = {"ids": np.zeros([2, 0], np.int32), "numerics": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)}

    x0 = EmbeddingTables(Inputs((), (), ("a", "b"), (1, 0)), STDDEV, 0)(batch)["deep"]

    np.testing.assert_array_equal(x0, [[2.0, 1.0], [4.0, 3.0]])


@pytest.mark.parametrize("numerics", [(), ("age", "price")], ids=["no numbers", "numbers of others"])
def test_without_embeddings_and_plain_numbers_the_input_of_the_tower_has_width_0(policy, numerics):
    fields = tuple(replace(field, branch="other") for field in INPUTS.fields if field.scale is None)
    inputs = replace(INPUTS, fields=fields, numerics=numerics, plain=())
    tables = EmbeddingTables(inputs, STDDEV, 0)

    x0 = tables(a_batch(inputs))["deep"]

    assert (x0.shape, x0.dtype, tables.width) == ((6, 0), tf.as_dtype(policy.removeprefix("mixed_")), 0)


def test_inputs_without_field_and_number_are_refused():
    with pytest.raises(ValueError, match=r"tables: a model needs an embedding, a wide weight or a plain number\. Add"):
        EmbeddingTables(Inputs((), (), ("age",), ()), STDDEV, 0)


def test_a_table_that_no_field_uses_changes_nothing():
    batch = a_batch(INPUTS)
    spare = (Table("unused, of a width in use", 5, 4), Table("unused, of its own width", 5, 7))
    expected = EmbeddingTables(INPUTS, STDDEV, 0)(batch)["deep"].numpy()

    x0 = EmbeddingTables(replace(INPUTS, tables=INPUTS.tables + spare), STDDEV, 0)(batch)["deep"].numpy()

    np.testing.assert_array_equal(x0, expected)


def test_inputs_from_a_layout_are_the_inputs():
    layout = {
        "tables": [{"name": "user", "rows": 30, "dim": 4}],
        "fields": [
            {"name": "user", "table": "user", "column": 0},
            {"name": "seen", "table": "user", "sequence": "seen", "pooling": "mean"},
        ],
        "numerics": ["age"],
        "plain": [0],
        "categories": [{"name": "user", "column": 0, "rows": 30, "table": "user"}],
        "sequences": [{"name": "seen", "rows": 30, "table": "user"}],
    }

    inputs = Inputs.from_layout(layout)

    fields = (Field("user", "user", column=0), Field("seen", "user", sequence="seen", pooling="mean"))
    categories, histories = (Category("user", 0, 30, "user"),), (SequenceInput("seen", 30, "user"),)
    assert inputs == Inputs((Table("user", 30, 4),), fields, ("age",), (0,), categories, histories)


def test_what_follows_a_sequence_is_never_seen_by_output_or_gradient():
    tables, batch = EmbeddingTables(INPUTS, STDDEV, 0), a_batch(INPUTS)
    other = dict(batch)
    for name, rows in (("history", 20), ("tags", 12)):
        ids, past = batch[f"sequences/{name}"], np.arange(5) >= batch[f"lengths/{name}"][:, None]
        other[f"sequences/{name}"] = np.where(past, rows - 1 - ids, ids)

    np.testing.assert_array_equal(tables(other)["deep"], tables(batch)["deep"])
    for one, two in zip(dense_gradients(tables, other), dense_gradients(tables, batch), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_sequence_without_pooling_is_its_vectors_and_their_mask():
    apart = Field("past", "item", sequence="history", branch="past")
    with_it, batch = replace(INPUTS, fields=(*INPUTS.fields, apart)), a_batch(INPUTS)
    tables = EmbeddingTables(with_it, STDDEV, 0)

    parts = tables(batch)

    assert parts.keys() == {"deep", "past"}
    np.testing.assert_array_equal(parts["deep"], EmbeddingTables(INPUTS, STDDEV, 0)(batch)["deep"])
    ids, lengths = batch["sequences/history"], batch["lengths/history"]
    item = np.concatenate(list(tables.table_blocks("item")))
    np.testing.assert_array_equal(parts["past"].vectors, item[ids])
    np.testing.assert_array_equal(parts["past"].mask, np.arange(ids.shape[1]) < lengths[:, None])


def gradients_of(tables, batch, coefficients=None):
    with tf.GradientTape() as tape:
        x0 = tables(batch)["deep"]
        loss = tf.reduce_sum(x0 if coefficients is None else x0 * coefficients)
    return tape.gradient(loss, tables.trainable_variables)


def dense_gradients(tables, batch, coefficients=None):
    return [tf.convert_to_tensor(g).numpy() for g in gradients_of(tables, batch, coefficients)]


@every_grouping
def test_the_gradient_of_each_variable_is_sparse(grouping):
    tables = EmbeddingTables(INPUTS, STDDEV, 0, grouping)

    gradients = gradients_of(tables, a_batch(INPUTS))

    assert len(gradients) == len(tables.groups)
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)


def test_the_gradient_of_a_row_is_the_sum_over_its_uses():
    tables, batch = EmbeddingTables(INPUTS, STDDEV, 0, APART), a_batch(INPUTS)
    coefficients = np.random.default_rng(3).normal(size=[6, tables.width]).astype(np.float32)
    expected = {table.name: np.zeros([table.rows, table.dim]) for table in INPUTS.tables}
    dims = {table.name: table.dim for table in INPUTS.tables}
    ends = list(accumulate(dims[field.table] for field in INPUTS.fields))
    for field, end in zip(INPUTS.fields, ends, strict=True):
        for row in range(6):
            c = coefficients[row, end - dims[field.table] : end]
            if field.sequence is None:
                scale = 1 if field.scale is None else batch["numerics"][row, field.scale]
                expected[field.table][batch["ids"][row, field.column]] += scale * c
            else:
                ids = batch[f"sequences/{field.sequence}"][row, : batch[f"lengths/{field.sequence}"][row]]
                for one in ids:
                    expected[field.table][one] += c / len(ids) if field.pooling == "mean" else c

    found = dense_gradients(tables, batch, coefficients)

    names = [table.name for members in tables.groups.values() for table in members]
    for name, gradient in zip(names, found, strict=True):
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-5, atol=1e-6)


def logical_table(tables, name):
    return np.concatenate(list(tables.table_blocks(name)))


@every_grouping
def test_a_row_starts_the_same_whatever_is_fused(grouping):
    tables = EmbeddingTables(INPUTS, STDDEV, 0, grouping)

    for table in INPUTS.tables:
        np.testing.assert_array_equal(logical_table(tables, table.name), start_of(table))


def test_a_row_starts_the_same_whatever_other_tables_there_are():
    more = (Table("first", 11, 4), *INPUTS.tables[::-1], Table("last", 17, 4))
    fields = tuple(Field(table.name, table.name, column=place) for place, table in enumerate(more))

    tables = EmbeddingTables(Inputs(more, fields, (), ()), STDDEV, 0)

    for table in INPUTS.tables:
        np.testing.assert_array_equal(logical_table(tables, table.name), start_of(table))


@pytest.mark.parametrize(("few", "many"), [(4, 5), (100, 40_000), (20_000, 40_000)])
def test_a_row_starts_the_same_however_many_rows_follow(few, many):
    np.testing.assert_array_equal(start_of(Table("user", few, 2)), start_of(Table("user", many, 2))[:few])


@every_grouping
def test_logical_tables_share_no_row(grouping):
    tables = EmbeddingTables(INPUTS, STDDEV, 0, grouping)
    sizes = [variable.shape[0] for variable in tables.trainable_variables]

    assert sum(sizes) == sum(table.rows for table in INPUTS.tables)
    assert len(sizes) == len({(table.dim, grouping and grouping[table.name]) for table in INPUTS.tables})
    for members in tables.groups.values():
        starts = [tables.offsets[table.name] for table in members]
        rows = [row for start, table in zip(starts, members, strict=True) for row in range(start, start + table.rows)]
        assert sorted(rows) == list(range(len(rows)))


@pytest.mark.parametrize("size", [1, 7, 20, 1000])
def test_a_table_is_read_in_order_a_few_rows_at_a_time(monkeypatch, size):
    monkeypatch.setattr("models.tables.READ_ROWS", size)
    item = INPUTS.tables[2]

    blocks = list(EmbeddingTables(INPUTS, STDDEV, 0).table_blocks("item"))

    assert max(len(block) for block in blocks) == min(size, item.rows)
    np.testing.assert_array_equal(np.concatenate(blocks), start_of(item))


def test_more_rows_than_an_id_can_name_are_refused_in_one_variable():
    tables = Table("user", 2**30, 1), Table("item", 2**30, 1)

    with pytest.raises(ValueError, match="2\\^31 - 1 rows"):
        EmbeddingTables(Inputs(tables, (Field("user", "user", column=0),), (), ()), STDDEV, 0)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 1000])
def test_the_three_special_rows_start_at_zero_and_no_other_does(rows):
    start = start_of(Table("user", rows, 4))

    np.testing.assert_array_equal(start[:3], 0)
    assert (start[3:] != 0).any(axis=1).all()


def test_other_rows_start_normal_with_the_wanted_deviation():
    values = start_of(Table("user", 40_003, 4))[3:].ravel() / STDDEV  # 160,000 values

    assert abs(values.mean()) < 0.01
    assert values.std() == pytest.approx(1, abs=0.01)
    assert (np.abs(values) < 1).mean() == pytest.approx(0.6827, abs=0.006)


def test_no_two_rows_tables_or_seeds_start_alike():
    user = start_of(Table("user", 40_003, 4))[3:]
    others = [start_of(Table("item", 40_003, 4))[3:], start_of(Table("user", 40_003, 4), seed=1)[3:]]

    assert len(np.unique(user, axis=0)) == len(user)
    for other in others:
        assert abs(np.corrcoef(user.ravel(), other.ravel())[0, 1]) < 0.02


def ops_that_take(variable, function):
    """Return the types of operations in a concrete function and its nested ones that take a variable's handle."""
    library = {f.signature.name: f for f in function.graph.as_graph_def().library.function}
    assert not any(node.op == "ReadVariableOp" for f in library.values() for node in f.node_def)
    [handle] = [inner for outer, inner in function.graph.captures if outer is variable.handle]
    return {op.type for op in handle.consumers()}


def trace(tables, batch, with_gradient):
    """Return the concrete function of a lookup, with an open batch dimension."""
    specs = {key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in batch.items()}

    @tf.function
    def run(batch):
        if with_gradient:
            return [(g.values, g.indices) for g in gradients_of(tables, batch)]
        return tables(batch)["deep"]

    return run.get_concrete_function(specs)


@pytest.mark.medium
@pytest.mark.parametrize("with_gradient", [False, True], ids=["lookup", "lookup and gradient"])
def test_the_graph_reads_no_whole_table(policy, with_gradient):
    fields = tuple(field for field in INPUTS.fields if field.scale is None)
    inputs = Inputs(tuple(t for t in INPUTS.tables if t.name != "price"), fields, (), ())
    tables, batch = EmbeddingTables(inputs, STDDEV, 0), a_batch(inputs)

    function = trace(tables, batch, with_gradient)

    rows = {variable.shape[0] for variable in tables.trainable_variables}
    for variable in tables.trainable_variables:
        assert ops_that_take(variable, function) <= {"ResourceGather", "VariableShape"}
    shapes = [output.shape for op in function.graph.get_operations() for output in op.outputs]
    assert not [shape for shape in shapes if shape.rank and shape[0] in rows]


def test_the_check_of_the_graph_sees_a_table_that_is_read_whole():
    table = tf.Variable(tf.ones([20, 4]))

    function = tf.function(lambda ids: tf.gather(table * 2, ids)).get_concrete_function(tf.TensorSpec([None], tf.int32))

    assert ops_that_take(table, function) == {"ReadVariableOp"}


@pytest.mark.parametrize(
    ("field", "plain"),
    [
        pytest.param(Field("price", "price", column=0), (), id="ids"),
        pytest.param(Field("price", "price", column=0, scale=0), (), id="scaled"),
        pytest.param(Field("price", "price", column=0), (0,), id="plain numerics"),
    ],
)
def test_tables_stay_float32_and_vectors_have_the_compute_type(policy, field, plain):
    inputs = Inputs((Table("price", 8, 2),), (field,), ("price",), plain)
    tables, batch = EmbeddingTables(inputs, STDDEV, 0), a_batch(inputs)

    x0 = tables({key: tf.constant(value) for key, value in batch.items()})["deep"]

    dtype, tolerance = {"float32": (tf.float32, 1e-6), "mixed_bfloat16": (tf.bfloat16, 2**-8)}[policy]
    assert x0.dtype == dtype
    assert {variable.dtype for variable in tables.trainable_variables} == {tf.float32}
    np.testing.assert_allclose(tf.cast(x0, tf.float32), plainly(inputs, batch), rtol=tolerance)


# Branches, initial values and names of tables

WIDE = replace(
    INPUTS,
    tables=(*INPUTS.tables, Table("w", 9, 1), Table("v", 20, 1)),
    fields=(
        Field("hour's weight", "w", column=0, branch="wide"),
        *INPUTS.fields[:4],
        Field("item's weight", "v", column=2, branch="wide"),
        *INPUTS.fields[4:],
        Field("item for another", "item", column=2, branch="other"),
    ),
)


@pytest.mark.parametrize("grouping", [None, {t.name: t.name for t in WIDE.tables}], ids=["by width", "each apart"])
def test_each_branch_holds_its_fields_in_declared_order(grouping):
    batch = a_batch(WIDE)

    branches = EmbeddingTables(WIDE, STDDEV, 0, grouping)(batch)

    assert set(branches) == {"deep", "wide", "other"}
    for branch, found in branches.items():
        own = replace(WIDE, fields=tuple(f for f in WIDE.fields if f.branch == branch), plain=())
        expected = plainly(own, batch)
        if branch == "deep":
            expected = np.hstack([expected, batch["numerics"][:, list(INPUTS.plain)]])
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_other_branches_change_no_bit_of_deep_and_do_not_count_in_its_width():
    batch = a_batch(WIDE)
    with_parts, without = EmbeddingTables(WIDE, STDDEV, 0), EmbeddingTables(INPUTS, STDDEV, 0)

    np.testing.assert_array_equal(with_parts(batch)["deep"], without(batch)["deep"])
    assert with_parts.width == without.width


def test_parts_of_one_width_share_a_variable_and_one_lookup():
    narrow = (Table("a", 30, 1), Table("b", 20, 1))
    inputs = Inputs(narrow, (Field("a", "a", column=0), Field("b", "b", column=1, branch="wide")), (), ())
    tables, batch = EmbeddingTables(inputs, STDDEV, 0), a_batch(inputs)
    specs = {key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in batch.items()}

    graph = tf.function(tables.call).get_concrete_function(specs).graph

    assert [op.type for op in graph.get_operations()].count("ResourceGather") == len(tables.trainable_variables) == 1
    for part, (table, column) in {"deep": (narrow[0], 0), "wide": (narrow[1], 1)}.items():
        np.testing.assert_array_equal(tables(batch)[part], start_of(table)[batch["ids"][:, column]])


def test_deep_alone_has_the_compute_type(policy):
    parts = EmbeddingTables(WIDE, STDDEV, 0)({key: tf.constant(value) for key, value in a_batch(WIDE).items()})

    types = {part: vectors.dtype for part, vectors in parts.items()}
    assert types == {"deep": tf.as_dtype(policy.removeprefix("mixed_")), "wide": tf.float32, "other": tf.float32}


@pytest.mark.parametrize("stddev", [0.0, 0.5])
def test_a_table_may_have_a_deviation_of_its_own(stddev):
    tables = (replace(INPUTS.tables[0], stddev=stddev), *INPUTS.tables[1:])

    found = EmbeddingTables(replace(INPUTS, tables=tables), STDDEV, 0)

    np.testing.assert_allclose(logical_table(found, "user"), start_of(INPUTS.tables[0]) * (stddev / STDDEV), rtol=1e-6)
    np.testing.assert_array_equal(logical_table(found, "item"), start_of(INPUTS.tables[2]))


def test_two_tables_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"duplicate table 'item'\. Rename the feature\."):
        replace(INPUTS, tables=(*INPUTS.tables, Table("item", 5, 2)))
