"""Mistakes in a new feature kind are rejected where they are made, not in the middle of a run."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pytest

from features import KINDS, Columns, Encoder, Features, Fit, Statistics
from features.kinds.categorical import Categorical
from features.kinds.feature import Feature
from tests.toy_kind import HighestSoFar, Rounded


class Copy(Feature):
    """The same feature under another name."""

    type: Literal["copy"] = "copy"
    of: str

    @property
    def parts(self):
        return (self.of,)

    @property
    def holds(self):
        return "category"

    def values(self, table, parts, where):
        return parts[0]

    def lay_out(self, layout, fit, declared):
        layout.add_category(self.name, 10, self.name, 4)


class Lodger(Rounded):
    """A kind whose table is named like another feature."""

    type: Literal["lodger"] = "lodger"

    @property
    def table_name(self):
        return "price"


class Narrow(Categorical):
    """A kind that can share tables and compares only their widths."""

    type: Literal["narrow"] = "narrow"

    @property
    def shared_table(self):
        return {"dim": self.dim}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for name, kind in {"rounded": Rounded, "copy": Copy, "lodger": Lodger, "narrow": Narrow}.items():
        monkeypatch.setitem(KINDS, name, kind)


@pytest.mark.parametrize("name", ["columns", "parts", "fitting"])
def test_a_setting_cannot_hide_what_the_program_asks_of_a_kind(name):
    with pytest.raises(TypeError, match=f"Hidden: a setting cannot be called '{name}'"):
        type("Hidden", (Rounded,), {"__annotations__": {name: int}, "__module__": __name__})


def test_a_part_has_no_parts():
    both = {"a": {}, "b": {"type": "copy", "of": "a"}}
    assert list(Features(columns=both).columns) == ["a", "b"]
    with pytest.raises(ValueError, match=r"columns\.c: 'b' is made of other features"):
        Features(columns={**both, "c": {"type": "copy", "of": "b"}})


def test_a_part_exists():
    with pytest.raises(ValueError, match=r"columns\.c: unknown feature 'd'"):
        Features(columns={"c": {"type": "copy", "of": "d"}})


@pytest.mark.parametrize("order", [1, -1])
def test_a_table_that_cannot_be_shared_is_not(order):
    columns = {"price": {"type": "rounded"}, "other": {"type": "lodger", "column": "price"}}
    with pytest.raises(ValueError, match="cannot use table 'price'"):
        Features(columns=dict(list(columns.items())[::order]))


@pytest.mark.parametrize("order", [1, -1])
def test_kinds_that_share_a_table_agree_in_the_settings_of_both(order):
    columns = {"user": {"table": "t", "hash": 5}, "other": {"type": "narrow", "table": "t", "hash": 9}}
    with pytest.raises(ValueError, match="share table 't' but differ in hash"):
        Features(columns=dict(list(columns.items())[::order]))


@dataclass(frozen=True)
class Taken(Fit):
    section = "seen"
    step: int


def test_a_section_of_the_saved_encoder_has_one_class(monkeypatch, tmp_path):
    monkeypatch.setattr(HighestSoFar, "fit", Taken)
    features = Features(columns={"price": {"type": "rounded"}})
    with pytest.raises(TypeError, match=r"Taken: the section 'seen' of encoder\.json is taken"):
        Encoder(features, Columns("y"), Statistics()).save(tmp_path / "encoder")


def test_a_kind_with_columns_and_parts_gets_both(monkeypatch):
    class Scaled(Copy):
        """A feature that gives both a category and a numeric column."""

        type: Literal["scaled"] = "scaled"

        @property
        def columns(self):
            return ("price",)

        def values(self, table, parts, where):
            return pa.array(
                [
                    f"{part} {price}"
                    for part, price in zip(parts[0].to_pylist(), table["price"].to_pylist(), strict=True)
                ]
            )

    monkeypatch.setitem(KINDS, "scaled", Scaled)
    encoder = Encoder(Features(columns={"both": {"type": "scaled", "of": "a"}, "a": {"hash": 5}}), None)

    assert encoder.input_columns == ["price", "a"]
    found = encoder.values(pa.table({"a": [1, 2], "price": [0.5, 2.0]}), "here")["both"]
    assert found.to_pylist() == ["1 0.5", "2 2.0"]
