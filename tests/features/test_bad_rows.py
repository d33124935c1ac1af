"""Invalid rows are skipped as far as a config allows, and counted by reason."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr.config.data import Data
from ctr.preflight.data_checks import check_bad_rows
from features import OTHER_LABELS, Columns, DataError, Encoder, Features, count_rows, leave_out_bad_rows, open_data
from features.fits.moments import Moments
from tests.features.fits import statistics_of

INF, NAN = float("inf"), float("nan")
DECLARED = Features(
    columns={
        "n": {"type": "numeric", "clip": None},
        "id": {"identity": 3, "missing": [7]},
        "list": {"type": "sequence", "identity": 3, "max_length": 2},
        "free": {"hash": 5},
    }
)
UNFITTED = Encoder(DECLARED, Columns("y", "w"))
TYPES = {"n": pa.float64(), "id": pa.int64(), "list": pa.list_(pa.int8()), "free": pa.string()}
TYPES |= {"y": pa.float64(), "w": pa.float64()}
GOOD = {"y": 1.0, "w": 0.5, "n": 2.0, "id": 1, "list": [0, 2], "free": "x"}


def write(path, rows, rows_of_group=4):
    """Write rows, given as dicts of differences from a valid row, and return the row groups."""
    columns = {name: pa.array([{**GOOD, **row}[name] for row in rows], type_) for name, type_ in TYPES.items()}
    pq.write_table(pa.table(columns), path, row_group_size=rows_of_group)
    return open_data(str(path))


def left_of(row_groups):
    """Return every row left in a split, as a dict."""
    return [row for group in row_groups for row in group.read(list(TYPES)).to_pylist()]


REASONS = {
    "label is null": [{"y": None}],
    "label is neither 0 nor 1": [{"y": 2.0}, {"y": -1.0}, {"y": 0.5}, {"y": NAN}, {"y": INF}],
    "weight is null": [{"w": None}],
    "weight is negative": [{"w": -0.5}, {"w": -INF}],
    "weight is not finite": [{"w": NAN}, {"w": INF}, {"w": 1e300}],
    "'n' is infinite or too large": [{"n": INF}, {"n": -INF}, {"n": 1e39}, {"n": -1e300}],
    "'id' holds an id outside 0 to 2": [{"id": 3}, {"id": -1}, {"id": 2**40}],
    "'list' holds an id outside 0 to 2": [{"list": [0, 3]}, {"list": [-1]}, {"list": [None, 99, 98]}],
}
USABLE = [
    {},
    *[{"y": 0.0}, {"w": 0.0}, {"n": None}, {"n": NAN}, {"n": 3e38}, {"id": None}, {"id": 7}],
    *[{"list": None}, {"list": []}, {"list": [99, 0, 1]}, {"list": [None]}, {"free": None}],
]


@pytest.mark.parametrize("reason", REASONS)
def test_a_bad_row_is_left_out_for_its_reason(reason, tmp_path):
    for place, bad in enumerate(REASONS[reason]):
        row_groups = write(tmp_path / f"{place}.parquet", [{}, bad, {"free": "y"}])
        left, counted = leave_out_bad_rows("train", row_groups, UNFITTED, 0.5)
        assert left_of(left) == [GOOD, {**GOOD, "free": "y"}]
        assert counted.reasons == {reason: 1}
        assert (counted.rows, counted.fraction) == (1, 1 / 3)


def test_what_a_feature_can_use_stays(tmp_path):
    row_groups = write(tmp_path / "a.parquet", USABLE)
    left, counted = leave_out_bad_rows("train", row_groups, UNFITTED, 0.001)
    assert left == row_groups
    assert (counted.rows, counted.fraction, counted.reasons) == (0, 0.0, {})


row_dicts = st.lists(
    st.fixed_dictionaries(
        {
            "y": st.sampled_from([0.0, 1.0, 1.0, 1.0, None, 2.0, NAN]),
            "w": st.sampled_from([0.0, 1.0, 3.0, 3.0, None, -1.0, INF]),
            "n": st.sampled_from([0.0, 1.0, None, 1e30, INF, 1e39]),
            "id": st.sampled_from([0, 1, 2, 7, None, 3]),
            "list": st.none() | st.lists(st.none() | st.integers(-1, 3), max_size=4),
            "free": st.none() | st.text(max_size=1),
        }
    ),
    min_size=1,
    max_size=20,
)


def first_reason(row):
    """Return why a row is invalid, by the rules of the documentation alone; None if it is valid."""
    y, w, n, id_, values = row["y"], row["w"], row["n"], row["id"], (row["list"] or [])[-2:]
    checks = {
        "label is null": y is None,
        "label is neither 0 nor 1": y not in (0, 1),
        "weight is null": w is None,
        "weight is negative": w is not None and w < 0,
        "weight is not finite": w is not None and not math.isfinite(w),
        "'n' is infinite or too large": n is not None and abs(n) > 3.5e38,
        "'id' holds an id outside 0 to 2": id_ not in (0, 1, 2, 7, None),
        "'list' holds an id outside 0 to 2": any(value not in (0, 1, 2, None) for value in values),
    }
    return next((reason for reason, is_bad in checks.items() if is_bad), None)


@settings(max_examples=60, deadline=None)
@given(rows=row_dicts)
def test_what_is_left_is_what_an_encoder_takes_and_nothing_more_is_left_out(tmp_path_factory, rows):
    row_groups = write(tmp_path_factory.mktemp("data") / "a.parquet", rows)
    reasons = [first_reason(row) for row in rows]
    left, counted = leave_out_bad_rows("train", row_groups, UNFITTED, 1.0)
    assert left_of(left) == [row for row, reason in zip(rows, reasons, strict=True) if reason is None]
    assert count_rows(left) == len(left_of(left))
    assert counted.reasons == Counter(reason for reason in reasons if reason is not None)
    assert counted.rows == sum(counted.reasons.values())
    fitted = Encoder(DECLARED, UNFITTED.columns, statistics_of(moments={"n": Moments(0.0, 1.0)}))
    for group in left:
        assert len(fitted(group.read(list(TYPES)), str(group))["label"]) == group.rows


def test_parts_of_row_groups_lose_rows_too(tmp_path):
    [group] = write(tmp_path / "a.parquet", [{"id": k % 3, "y": 2.0 if k in (4, 9) else 1.0} for k in range(11)], 11)
    part = group.select(np.arange(11) % 2 == 0)
    left, counted = leave_out_bad_rows("train", [part], UNFITTED, 0.5)
    assert [row["id"] for row in left_of(left)] == [k % 3 for k in (0, 2, 6, 8, 10)]
    assert (counted.rows, counted.fraction) == (1, 1 / 6)


def test_a_row_group_of_bad_rows_alone_is_gone(tmp_path):
    row_groups = write(tmp_path / "a.parquet", [{}] * 4 + [{"y": None}] * 4 + [{}] * 4)
    left, counted = leave_out_bad_rows("train", row_groups, UNFITTED, 0.4)
    assert left == [row_groups[0], row_groups[2]]
    assert counted.rows == 4


def test_a_number_may_be_too_large_once_it_is_standardized(tmp_path):
    row_groups = write(tmp_path / "a.parquet", [{"n": 1.0}, {"n": 1e37}, {"n": INF}, {"n": None}, {"n": -1e30}])
    fitted = Encoder(DECLARED, UNFITTED.columns, statistics_of(moments={"n": Moments(0.0, 0.01)}))
    left, counted = leave_out_bad_rows("test", row_groups, fitted, 0.5)
    assert [row["n"] for row in left_of(left)] == [1.0, None, -1e30]
    assert counted.reasons == {"'n' is infinite or too large": 1, "'n' is too large once standardized": 1}


def test_data_without_a_label_has_none_that_is_bad(tmp_path):
    row_groups = write(tmp_path / "a.parquet", [{"y": None, "w": -1.0}, {"y": None, "id": 3}])
    left, counted = leave_out_bad_rows("new", row_groups, Encoder(DECLARED, None), 0.5)
    assert counted.reasons == {"'id' holds an id outside 0 to 2": 1}
    assert [row["id"] for row in left_of(left)] == [1]


@pytest.mark.parametrize(("bad", "at_most", "is_allowed"), [(29, 0.29, True), (30, 0.29, False), (1, 0.001, False)])
def test_the_share_that_is_allowed_is_exact(tmp_path, bad, at_most, is_allowed):
    row_groups = write(tmp_path / "a.parquet", [{"y": None}] * bad + [{}] * (100 - bad))
    if is_allowed:
        assert leave_out_bad_rows("train", row_groups, UNFITTED, at_most)[1].rows == bad
    else:
        with pytest.raises(DataError, match=f"train: {bad} of 100 rows are invalid"):
            leave_out_bad_rows("train", row_groups, UNFITTED, at_most)


def test_more_bad_rows_than_allowed_are_an_error_that_says_why_and_where(tmp_path):
    rows = [{}] * 5 + [{"n": INF}, {"y": None}, {"y": None, "n": INF}] + [{}] * 4
    with pytest.raises(DataError) as error:
        leave_out_bad_rows("valid", write(tmp_path / "a.parquet", rows), UNFITTED, 0.2)
    place = f"first in {tmp_path / 'a.parquet'}, row group 1"
    assert str(error.value).splitlines() == [
        "valid: 3 of 12 rows are invalid (25%), more than `bad_rows: {skip: 0.2}` allows:",
        f"  label is null: 2, {place}",
        f"  'n' is infinite or too large: 1, {place}",
        "Correct the rows, or raise `skip`.",
    ]


def test_a_type_that_no_row_is_to_blame_for_is_an_error(tmp_path):
    table = pa.table({name: pa.array([GOOD[name]] * 3, type_) for name, type_ in TYPES.items()})
    for name, message in {"y": "label 'y' has type string", "w": "weight 'w' has type string"}.items():
        texts = table.set_column(table.schema.get_field_index(name), name, pa.array(["1"] * 3))
        pq.write_table(texts, tmp_path / "a.parquet")
        with pytest.raises(DataError, match=message):
            leave_out_bad_rows("train", open_data(str(tmp_path / "a.parquet")), UNFITTED, 0.5)


@pytest.mark.parametrize(("others", "is_to_be_mapped"), [(1, False), (5, True)])
def test_skipping_is_not_advised_where_many_labels_have_other_values(tmp_path, others, is_to_be_mapped):
    row_groups = write(tmp_path / "a.parquet", [{"y": 2.0}] * others + [{}] * (10 - others))
    with pytest.raises(DataError) as error:
        leave_out_bad_rows("valid", row_groups, UNFITTED, 0.05)
    advice = OTHER_LABELS if is_to_be_mapped else "Correct the rows, or raise `skip`."
    assert str(error.value).splitlines()[-1] == advice
    _, bad = leave_out_bad_rows("valid", row_groups, UNFITTED, 0.9)
    assert bad.has_other_labels == is_to_be_mapped
    [finding] = check_bad_rows(Data(label="y", train="a.parquet"), {"valid": bad})
    assert (OTHER_LABELS in finding.sentence, "skip: FRACTION" in finding.sentence) == (
        is_to_be_mapped,
        not is_to_be_mapped,
    )
