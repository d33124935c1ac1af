"""Streams: separate inputs for several blocks of a tower, or several towers, with shared or separate tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from models.inputs import Field, Inputs, Table


def with_streams(inputs: Inputs, streams: Mapping[str, Sequence[str] | None], separate: bool = False) -> Inputs:
    """Divide the embeddings of x_0 among streams; for the `extend` method of a tower.

    The first stream is x_0. Each other stream is a branch with the stream's name, `[batch, width]`, without the plain
    numeric features at the end of x_0, and in float32 even under mixed precision.

    Args:
        inputs: layout of the batches.
        streams: stream -> fields of x_0 that it reads; None: all fields.
        separate: True gives each stream its own tables, `<stream>/<table>`, with the size of the feature's table;
            fields of a stream that share a table also share the stream's. False: all streams read the features' tables.

    Raises:
        ValueError: a stream does not have fields or names an unknown field, or a stream after the first is called
            `deep`.

    >>> inputs = Inputs((Table("user", 9, 4),), (Field("user", "user", column=0),), (), ())
    >>> split = with_streams(inputs, {"left": None, "right": None}, separate=True)
    >>> [(field.branch, field.table) for field in split.fields]
    [('deep', 'left/user'), ('right', 'right/user')]
    >>> [table.name for table in split.trimmed().tables]
    ['left/user', 'right/user']
    """
    x0 = {field.name: field for field in inputs.fields if field.branch == "deep"}
    tables: dict[str, Table] = {}
    fields: list[Field] = []
    for index, (stream, names) in enumerate(streams.items()):
        if index > 0 and stream == "deep":
            raise ValueError("streams: `deep` is x0, which is the first stream. Use another name.")
        for name in _checked(stream, list(x0) if names is None else names, x0):
            table = inputs.table(x0[name].table)
            if separate:
                table = replace(table, name=f"{stream}/{table.name}")
                tables[table.name] = table
            field = x0[name] if index == 0 else replace(x0[name], name=f"{stream}/{name}", branch=stream)
            fields.append(replace(field, table=table.name))
    others = [field for field in inputs.fields if field.branch != "deep"]
    return replace(inputs, tables=(*inputs.tables, *tables.values()), fields=(*fields, *others))


def _checked(stream: str, names: Sequence[str], x0: Mapping[str, Field]) -> Sequence[str]:
    """Return the field names of a stream; raise ValueError if the list is empty or x_0 lacks a name."""
    unknown = [name for name in names if name not in x0]
    if unknown or not names:
        fault = f"unknown field {unknown[0]!r}" if unknown else "no field"
        raise ValueError(f"streams: {stream}: {fault}. Use fields of x0: {', '.join(x0) or 'none'}")
    return names


def stream_prefix(name: str) -> str:
    """Return what precedes the names of a stream's tables, fields and branches."""
    return f"streams/{name}/"


def with_dim(inputs: Inputs, dim: int | None) -> Inputs:
    """Return the inputs with tables of a width; None: unchanged."""
    if dim is None:
        return inputs
    return replace(inputs, tables=tuple(replace(table, dim=dim) for table in inputs.tables))


def into_stream(name: str, inputs: Inputs, kept: frozenset[str]) -> Inputs:
    """Return the inputs of a stream's model with the prefix of the stream, except for tables that keep their names."""
    prefix = stream_prefix(name)
    tables = {table.name: table.name if table.name in kept else prefix + table.name for table in inputs.tables}
    return replace(
        inputs,
        tables=tuple(replace(table, name=tables[table.name]) for table in inputs.tables),
        fields=tuple(
            replace(field, name=prefix + field.name, table=tables[field.table], branch=prefix + field.branch)
            for field in inputs.fields
        ),
    )


def out_of_stream(name: str, inputs: Inputs) -> Inputs:
    """Return the inputs that the model of a stream declared, from those of both streams."""
    prefix = stream_prefix(name)
    fields = [field for field in inputs.fields if field.branch.startswith(prefix)]
    used = {field.table for field in fields}
    return replace(
        inputs,
        tables=tuple(
            replace(table, name=table.name.removeprefix(prefix)) for table in inputs.tables if table.name in used
        ),
        fields=tuple(
            replace(
                field,
                name=field.name.removeprefix(prefix),
                table=field.table.removeprefix(prefix),
                branch=field.branch.removeprefix(prefix),
            )
            for field in fields
        ),
    )
