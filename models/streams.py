"""Streams: the vectors of some fields for each of several parts of a tower, from shared or from separate tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from models.inputs import Field, Inputs, Table


def with_streams(inputs: Inputs, streams: Mapping[str, Sequence[str] | None], separate: bool = False) -> Inputs:
    """Divide the vectors of x0 among streams; for a tower's `extend`.

    The first stream is x0. Each other stream is a branch of its own name, [batch, width], without the plain numerics
    that x0 ends with, and in float32 whatever the tower computes in.

    Args:
        inputs: what batches hold.
        streams: for each stream the fields of x0 that it reads; None: all.
        separate: each stream reads tables of its own, `<stream>/<table>`, with the rows and the width of the feature's
            table; fields of a stream that share a table share its own. Otherwise all read the features' tables.

    Raises:
        ValueError: a stream without fields, or of an unknown one; a stream after the first that is called `deep`.

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
    for place, (stream, names) in enumerate(streams.items()):
        if place > 0 and stream == "deep":
            raise ValueError("streams: `deep` is x0, which is the first stream. Use another name.")
        for name in _checked(stream, list(x0) if names is None else names, x0):
            table = inputs.table(x0[name].table)
            if separate:
                table = replace(table, name=f"{stream}/{table.name}")
                tables[table.name] = table
            field = x0[name] if place == 0 else replace(x0[name], name=f"{stream}/{name}", branch=stream)
            fields.append(replace(field, table=table.name))
    others = [field for field in inputs.fields if field.branch != "deep"]
    return replace(inputs, tables=(*inputs.tables, *tables.values()), fields=(*fields, *others))


def _checked(stream: str, names: Sequence[str], x0: Mapping[str, Field]) -> Sequence[str]:
    """Return the names of a stream's fields if there are some and x0 has them; else raise ValueError."""
    unknown = [name for name in names if name not in x0]
    if unknown or not names:
        fault = f"x0 has no field {unknown[0]!r}" if unknown else "no field"
        raise ValueError(f"streams: {stream}: {fault}. Known: {', '.join(x0) or 'none'}")
    return names
