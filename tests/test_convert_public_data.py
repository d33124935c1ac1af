"""Converters of public data: every value of synthetic files, published splits, and a one-line message per mistake."""

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.model_selection import KFold, StratifiedKFold
from typer.testing import CliRunner

from ctr.config.experiment import load_experiment
from ctr.training.data import prepare

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "convert_public_data.py"
sys.path.insert(0, str(SCRIPT.parent))

import convert_files  # noqa: E402
from convert_logs import x4_folds  # noqa: E402
from convert_public_data import app  # noqa: E402


def convert(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result


def mistake(out, *arguments):
    """Return the message of a command, which must fail in one line and leave no files behind."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert not out.exists()
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def lines_of(rows, delimiter):
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


# ----------------------------------------------------------------------------------------------------------- Criteo


def criteo_rows(count, seed=0):
    """Return label, 13 integers and 26 hashes of each row, some of them empty."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-2, 30_000_000, (count, 13)).astype(object)
    hashes = np.array([[f"{value:08x}" for value in row] for row in rng.integers(0, 9, (count, 26))], object)
    numbers[rng.random(numbers.shape) < 0.3] = ""
    hashes[rng.random(hashes.shape) < 0.3] = ""
    return [
        [int(label), *left, *right] for label, left, right in zip(rng.random(count) < 0.3, numbers, hashes, strict=True)
    ]


@pytest.fixture
def criteo(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(lines_of(criteo_rows(300), "\t"))
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "out"


def test_criteo_keeps_every_value_in_order(criteo, out, monkeypatch):
    monkeypatch.setattr(convert_files, "BLOCK", 4096)
    monkeypatch.setattr(convert_files, "ROW_GROUP", 100)
    message = convert("criteo", criteo, out).stdout
    file = pq.ParquetFile(out / "data.parquet")
    names = ["label", *(f"I{n}" for n in range(1, 14)), *(f"C{n}" for n in range(1, 27))]
    types = [pa.int8(), *[pa.int32()] * 13, *[pa.string()] * 26]
    assert file.schema_arrow.equals(pa.schema(zip(names, types, strict=True)))
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert len(groups) == 3
    assert min(groups[:-1]) >= 100
    expected = [[*(None if value == "" else value for value in row[:14]), *row[14:]] for row in criteo_rows(300)]
    assert [list(row.values()) for row in file.read().to_pylist()] == expected
    assert f"300 rows, positive rate {np.mean([row[0] for row in expected]):.4f}" in message
    assert [path.name for path in out.iterdir()] == ["data.parquet"]


def test_criteo_reads_archives_alike(criteo, tmp_path):
    convert("criteo", criteo, tmp_path / "plain")
    (tmp_path / "train.txt.gz").write_bytes(gzip.compress(criteo.read_bytes()))
    with tarfile.open(tmp_path / "dac.tar.gz", "w:gz") as archive:
        for name, data in (("readme.txt", b"made up"), ("train.txt", criteo.read_bytes())):
            member = tarfile.TarInfo(f"dac/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    for name in ("train.txt.gz", "dac.tar.gz"):
        convert("criteo", tmp_path / name, tmp_path / name.split(".")[0])
        assert pq.read_table(tmp_path / name.split(".")[0]).equals(pq.read_table(tmp_path / "plain"))


def folds_of_scikit_learn_0_19(labels):
    """Return folds by a KFold of the same seed for each class, as that release composed StratifiedKFold."""
    folds = np.full(len(labels), -1)
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        for number, (_, members) in enumerate(KFold(10, shuffle=True, random_state=2018).split(rows)):
            folds[rows[members]] = number
    return folds


def test_x4_has_the_folds_of_scikit_learn_0_19_and_not_those_of_today():
    labels = (np.random.default_rng(3).random(1237) < 0.2).astype(np.int8)
    folds = x4_folds(labels)
    assert (folds == folds_of_scikit_learn_0_19(labels)).all()
    today = np.full(len(labels), -1)
    for number, (_, members) in enumerate(StratifiedKFold(10, shuffle=True, random_state=2018).split(labels, labels)):
        today[members] = number
    assert (folds != today).any()


def test_the_test_set_of_x4_may_be_a_row_larger_than_its_validation_set():
    """This is so in the published sizes of Avazu, whose classes end on 6 and 1 like these."""
    labels = np.repeat(np.array([0, 1], np.int8), [3361, 686])
    assert np.bincount(x4_folds(labels)).tolist() == [406, *[405] * 5, *[404] * 4]


def test_split_x4_keeps_the_order_of_the_file(criteo, out, monkeypatch):
    monkeypatch.setattr(convert_files, "BLOCK", 4096)
    result = convert("criteo", criteo, out, "--split", "x4")
    assert result.stderr == "note: the published split is of 45,840,617 rows, not of 300\n"
    convert("criteo", criteo, out / "whole")
    whole = pq.read_table(out / "whole" / "data.parquet")
    folds = folds_of_scikit_learn_0_19(whole["label"].to_numpy())
    for name, chosen in (("train", folds > 1), ("valid", folds == 1), ("test", folds == 0)):
        assert pq.read_table(out / f"{name}.parquet").equals(whole.filter(pa.array(chosen)))


def test_criteo_trains_by_the_config(tmp_path):
    (tmp_path / "train.txt").write_text(lines_of(criteo_rows(300), "\t"))
    convert("criteo", tmp_path / "train.txt", tmp_path)
    prepared = prepare(load_experiment(ROOT / "configs/criteo/dcn_v2.yaml", [f"data.root={tmp_path}"]))
    assert {name: sum(group.rows for group in groups) for name, groups in prepared.splits.items()} == {
        "train": 240,
        "valid": 30,
        "test": 30,
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row[:-1], "line 200: expected 40 fields, got 39"),
        (lambda row: [*row, ""], "line 200: expected 40 fields, got 41"),
        (lambda row: [], "line 200: a label must be 0 or 1. Received: None"),
        (lambda row: [2, *row[1:]], "line 200: a label must be 0 or 1. Received: 2"),
        (lambda row: ["", *row[1:]], "line 200: a label must be 0 or 1. Received: None"),
        (lambda row: ["1.0", *row[1:]], "line 200: label is not of type int8: invalid value '1.0'"),
        (lambda row: [*row[:3], "x", *row[4:]], "line 200: I3 is not of type int32: invalid value 'x'"),
    ],
)
@pytest.mark.parametrize("split", [[], ["--split", "x4"]])
def test_a_bad_line_is_named(tmp_path, out, monkeypatch, change, said, split):
    monkeypatch.setattr(convert_files, "BLOCK", 4096)
    rows = criteo_rows(300)
    rows[199] = change(rows[199])
    (tmp_path / "train.txt").write_text(lines_of(rows, "\t"))
    message = mistake(out.parent, "criteo", tmp_path / "train.txt", out, *split)
    assert f"{tmp_path / 'train.txt'}, {said}" in message


def test_a_text_that_is_not_utf8_is_named(tmp_path, out):
    path = tmp_path / "train.txt"
    path.write_bytes(lines_of(criteo_rows(2), "\t").encode().rstrip() + b"\xff\n")
    assert f"{path}, line 2: C26 is not of type string: invalid UTF8" in mistake(out.parent, "criteo", path, out)


def test_damaged_files_are_named(criteo, tmp_path, out):
    data = gzip.compress(criteo.read_bytes())
    for name, content, said in (
        ("cut.txt.gz", data[:-100], "damaged or incomplete (Compressed file ended"),
        ("cut.tar.gz", data[:-100], "damaged or incomplete ("),
        ("spoilt.gz", data[:500] + bytes(100) + data[600:], "damaged or incomplete ("),
        ("plain.gz", criteo.read_bytes(), "damaged or incomplete (Not a gzipped file"),
        ("plain.tgz", criteo.read_bytes(), "damaged or incomplete ("),
        ("cut.txt", criteo.read_bytes()[:-50], "line 300: "),
        ("empty.txt", b"", "no rows. Download it again."),
        (
            "single.txt",
            lines_of([[1, *criteo_rows(1)[0][1:]]], "\t").encode(),
            "x4 needs at least ten rows of each label. Received: 0 rows with label 0",
        ),
    ):
        (tmp_path / name).write_bytes(content)
        message = mistake(out.parent, "criteo", tmp_path / name, out, "--split", "x4")
        assert said in message
        assert name in message or name == "single.txt"
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz"):
        pass
    assert "other.tar.gz: train.txt not found in the archive." in mistake(
        out.parent, "criteo", tmp_path / "other.tar.gz", out
    )


def test_a_missing_file_is_named(tmp_path, out):
    for command in ("criteo", "avazu", "movielens", "frappe", "amazon"):
        assert f"{tmp_path / 'nowhere'}: No such file" in mistake(out.parent, command, tmp_path / "nowhere", out)
    assert "Is a directory" in mistake(out.parent, "criteo", tmp_path, out)


def test_an_output_is_replaced_only_on_demand(criteo, out):
    convert("criteo", criteo, out)
    before = (out / "data.parquet").read_bytes()
    criteo.write_text(lines_of(criteo_rows(20, seed=1), "\t"))
    result = CliRunner().invoke(app, ["criteo", str(criteo), str(out)])
    assert result.exit_code == 2
    assert "already exists. Choose another folder, or use --overwrite." in result.stderr
    assert (out / "data.parquet").read_bytes() == before
    convert("criteo", criteo, out, "--overwrite")
    assert pq.read_table(out).num_rows == 20
    criteo.write_text("broken\n")
    assert CliRunner().invoke(app, ["criteo", str(criteo), str(out), "--overwrite"]).exit_code == 2
    assert pq.read_table(out).num_rows == 20  # a failure keeps the old file
    assert [path.name for path in out.iterdir()] == ["data.parquet"]


def test_the_command_line_has_no_traceback(tmp_path):
    result = subprocess.run([sys.executable, SCRIPT, "criteo", "nowhere", tmp_path], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == "error: nowhere: No such file or directory\n"


# ------------------------------------------------------------------------------------------------------------ Avazu

AVAZU = ["id", "click", "hour", "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain"]
AVAZU += ["app_category", "device_id", "device_ip", "device_model", "device_type", "device_conn_type"]
AVAZU += [f"C{number}" for number in range(14, 22)]


def avazu_rows(count):
    """Return synthetic rows, with ids beyond 64 bits and hours of two days."""
    return [
        [
            10**20 + n,
            n % 3 // 2,
            f"1410{21 + n // 40 % 2}{n % 24:02d}",
            *"0123456789abc",
            n,
            320,
            50,
            1722,
            0,
            35,
            -1,
            79,
        ]
        for n in range(count)
    ]


@pytest.mark.parametrize("name", ["train", "train.csv", "train.gz"])
def test_avazu_keeps_every_value_in_order(tmp_path, out, name):
    text = lines_of([AVAZU, *avazu_rows(90)], ",").encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    convert("avazu", tmp_path / name, out)
    table = pq.read_table(out / "data.parquet")
    types = {"label": pa.int8(), "hour": pa.timestamp("us", "UTC")}
    names = [name.replace("click", "label") for name in AVAZU]
    assert table.schema.equals(pa.schema([(name, types.get(name, pa.string())) for name in names]))
    hours = [datetime(2014, 10, 21 + n // 40 % 2, n % 24, tzinfo=UTC) for n in range(90)]
    expected = [
        [str(row[0]), row[1], hour, *map(str, row[3:])] for row, hour in zip(avazu_rows(90), hours, strict=True)
    ]
    assert [list(row.values()) for row in table.to_pylist()] == expected


def test_avazu_splits_by_x4_and_its_hour_makes_features(tmp_path):
    (tmp_path / "train").write_text(lines_of([AVAZU, *avazu_rows(300)], ","))
    convert("avazu", tmp_path / "train", tmp_path / "x4", "--split", "x4")
    assert pq.read_table(tmp_path / "x4").num_rows == 300
    convert("avazu", tmp_path / "train", tmp_path)
    config = tmp_path / "avazu.yaml"
    config.write_text(
        "name: avazu\n"
        f"data: {{root: {tmp_path}, path: data.parquet, label: label, split: "
        "{by: time, column: hour, fractions: [0.8, 0.1, 0.1]}, keep: [id]}\n"
        "features: {columns: {site_id: {}, C14: {}, h: {column: hour, part: hour}, d: {column: hour, part: weekday}}}\n"
        "model: {type: dcn_v2, structure: parallel, cross_layers: 1, hidden: [4]}\n"
        "optimizers: {sparse: {'*': {type: rmsprop_v2}}, dense: {type: adam}}\n"
    )
    assert set(prepare(load_experiment(config)).splits) == {"train", "valid", "test"}


def test_mistakes_in_avazu_are_named(tmp_path, out):
    path, rows = tmp_path / "train", avazu_rows(3)
    for lines, said in (
        (rows, "line 1: expected the file's header. Received: '1000"),
        (
            [AVAZU[:1] + AVAZU[2:], *rows],
            "line 1: expected the file's header. Received: 'id,hour",
        ),  # test.gz of the challenge
        ([AVAZU], "no rows."),
        ([AVAZU, *rows, rows[0][:-1]], "line 5: expected 24 fields, got 23"),
        ([AVAZU, *rows, [1, "yes", *rows[0][2:]]], "line 5: label is not of type int8: invalid value 'yes'"),
        ([AVAZU, *rows, [1, 3, *rows[0][2:]]], "line 5: a label must be 0 or 1. Received: 3"),
        (
            [AVAZU, *rows, [1, 1, "14102124", *rows[0][3:]]],
            "line 5: hour is not of type timestamp: invalid value '14102124'",
        ),
    ):
        path.write_text(lines_of(lines, ","))
        assert f"{path}" in (message := mistake(out.parent, "avazu", path, out))
        assert said in message


# -------------------------------------------------------------------------------------------------------- MovieLens

GENRES = ["unknown", "Action", "Children's", "Comedy"]
USERS_100K = [[1, 24, "M", "writer", "01234"], [2, 53, "F", "other", "T8H1N"]]
FLAGS = {10: [0, 1, 0, 1], 11: [0, 0, 1, 0], 12: [1, 0, 0, 0]}
ITEMS_100K = [
    [10, "Café: Noir (1990)", "01-Jan-1995", "", "http://x", *FLAGS[10]],
    [11, "Playtime (1967)", "4-Feb-1971", "", "", *FLAGS[11]],
    [12, "unknown", "", "", "", *FLAGS[12]],
]
RATINGS_100K = [[2, 10, 3, 900], [1, 11, 4, 800], [1, 12, 5, 900], [2, 12, 1, 800]]


def write_100k(folder, **changed):
    """Write a synthetic ml-100k: two users, three movies, four ratings, u.genre with its empty last line."""
    texts = {
        "u.data": lines_of(RATINGS_100K, "\t"),
        "u.user": lines_of(USERS_100K, "|"),
        "u.item": lines_of(ITEMS_100K, "|"),
        "u.genre": lines_of([[name, number] for number, name in enumerate(GENRES)], "|") + "\n",
        "u1.base": lines_of(RATINGS_100K[:3], "\t"),
        "u1.test": lines_of(RATINGS_100K[3:], "\t"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (texts | changed).items():
        (folder / name).write_text(text, "latin-1")
    return folder


MOVIELENS = pa.schema(
    [("label", pa.int8())]
    + [(name, pa.int64()) for name in ("user_id", "movie_id", "rating", "timestamp", "age")]
    + [(name, pa.string()) for name in ("gender", "occupation", "zip_code", "title")]
    + [("genres", pa.list_(pa.string())), ("release_year", pa.int16())]
)
WRITER, OTHER = [24, "M", "writer", "01234"], [53, "F", "other", "T8H1N"]
NOIR = ["Café: Noir (1990)", ["Action", "Comedy"], 1995]
PLAYTIME, UNKNOWN = ["Playtime (1967)", ["Children's"], 1971], ["unknown", ["unknown"], None]
EXPECTED_100K = [
    [1, 1, 11, 4, 800, *WRITER, *PLAYTIME],
    [0, 2, 12, 1, 800, *OTHER, *UNKNOWN],
    [0, 2, 10, 3, 900, *OTHER, *NOIR],
    [1, 1, 12, 5, 900, *WRITER, *UNKNOWN],
]


def rows_in(path):
    return [list(row.values()) for row in pq.read_table(path).to_pylist()]


def test_movielens_100k_is_sorted_by_time_with_users_and_movies(tmp_path, out):
    convert("movielens", write_100k(tmp_path / "ml-100k"), out)
    assert pq.read_schema(out / "data.parquet").equals(MOVIELENS)
    assert rows_in(out / "data.parquet") == EXPECTED_100K


def test_movielens_100k_has_published_splits(tmp_path, out):
    convert("movielens", write_100k(tmp_path / "ml-100k"), out, "--split", "u1")
    assert sorted(path.name for path in out.iterdir()) == ["test.parquet", "train.parquet"]
    assert rows_in(out / "train.parquet") == [EXPECTED_100K[0], *EXPECTED_100K[2:]]
    assert rows_in(out / "test.parquet") == [EXPECTED_100K[1]]


def write_zip(path, folder):
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{folder.name}/{file.name}")
    return path


def test_movielens_100k_is_read_from_the_zip_file_alike(tmp_path, out):
    convert("movielens", write_zip(tmp_path / "ml-100k.zip", write_100k(tmp_path / "ml-100k")), out)
    assert rows_in(out / "data.parquet") == EXPECTED_100K


def test_movielens_1m_has_the_same_columns(tmp_path, out):
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    (folder / "users.dat").write_text("1::F::1::10::01234\n2::M::56::0::98765-4321\n")
    (folder / "movies.dat").write_bytes(
        "7::Café: Noir (1990)::Action|Children's\n9::No Year::Drama\n".encode("latin-1")
    )
    (folder / "ratings.dat").write_text("2::9::3::900\n1::7::4::800\n")
    expected = [
        [1, 1, 7, 4, 800, 1, "F", "10", "01234", "Café: Noir (1990)", ["Action", "Children's"], 1990],
        [0, 2, 9, 3, 900, 56, "M", "0", "98765-4321", "No Year", ["Drama"], None],
    ]
    for source in (folder, write_zip(tmp_path / "ml-1m.zip", folder)):
        convert("movielens", source, out, "--overwrite")
        assert pq.read_schema(out / "data.parquet").equals(MOVIELENS)
        assert rows_in(out / "data.parquet") == expected
    message = mistake(tmp_path / "u1", "movielens", folder, tmp_path / "u1", "--split", "u1")
    assert "files not found. Use a folder or zip file with all of u1.base, u1.test" in message


def test_movielens_trains_by_the_config(tmp_path):
    ratings = [[1 + n % 2, 10 + n % 3, 1 + n * n % 5, 1000 * n] for n in range(100)]
    convert("movielens", write_100k(tmp_path / "ml-100k", **{"u.data": lines_of(ratings, "\t")}), tmp_path)
    experiment = load_experiment(ROOT / "configs/movielens/dcn_v2.yaml", [f"data.root={tmp_path}"])
    assert set(prepare(experiment).splits) == {"train", "valid", "test"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("u.data", "1\t10\t5\t900\n1\t10\t5\n", "u.data, line 2: expected 4 fields, got 3"),
        ("u.data", "1\t10\t5\t900\n1\t10\t6\t900\n", "u.data, line 2: a rating must be 1 to 5. Received: 6"),
        ("u.data", "1\t10\t5\t900\n1\t10\t5\t\n1\t10\t5\t900\n", "u.data, line 2: a time must be seconds since 1970"),
        ("u.data", "1\t10\t5\t900\n3\t10\t5\t900\n", "u.data, line 2: unknown user_id. Received: 3"),
        ("u.data", "1\t10\t5\t900\n1\t13\t5\t900\n", "u.data, line 2: unknown movie_id. Received: 13"),
        ("u.data", "", "u.data: no rows."),
        ("u.user", "1|x|M|writer|01234\n", "u.user, line 1: age is not of type int64: invalid value 'x'"),
        ("u.item", "10|A|01-Jan-1995\n", "u.item, line 1: expected 9 fields, got 3"),
    ],
)
def test_mistakes_in_movielens_are_named(tmp_path, out, name, text, said):
    assert said in mistake(out.parent, "movielens", write_100k(tmp_path / "ml-100k", **{name: text}), out)


def test_what_is_not_movielens_is_named(tmp_path, out):
    (tmp_path / "else").mkdir()
    message = mistake(out.parent, "movielens", tmp_path / "else", out)
    assert "with all of u.data, u.user, u.item, u.genre or all of ratings.dat, users.dat, movies.dat." in message
    whole = write_zip(tmp_path / "ml-100k.zip", write_100k(tmp_path / "ml-100k")).read_bytes()
    for name, content in (("cut.zip", whole[:-200]), ("spoilt.zip", whole.replace(b"01-Jan-1995", b"02-Jan-1995"))):
        (tmp_path / name).write_bytes(content)
        message = mistake(out.parent, "movielens", tmp_path / name, out)
        assert name in message
        assert "Download it again" in message


# ----------------------------------------------------------------------------------------------------------- Frappe

FRAPPE = ["user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"]
FIRST = [0, 957, 5039, 5046, 5053, 5055, 5058, 5060, 5069, 5149]
LAST = [956, 5038, 5045, 5052, 5054, 5057, 5059, 5068, 5148, 5381]


def frappe_rows(seed):
    rng = np.random.default_rng(seed)
    return [[int(rng.random() < 0.4), *map(int, rng.integers(FIRST, np.add(LAST, 1)))] for _ in range(40)]


def write_frappe(folder, kind):
    """Write the three splits, synthetic, in one of the published formats."""
    names = {
        "csv": ["train.csv", "valid.csv", "test.csv"],
        "libfm": ["frappe.train.libfm", "frappe.validation.libfm", "frappe.test.libfm"],
        "libsvm": ["train.libsvm", "valid.libsvm", "test.libsvm"],
    }[kind]
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        rows = frappe_rows(seed)
        if kind == "csv":
            text = lines_of([["label", *FRAPPE], *rows], ",").replace("\n", "\r\n")  # the format of BARS
        else:
            negative = -1 if kind == "libfm" else 0
            text = lines_of([[row[0] or negative, *(f"{number}:1" for number in row[1:])] for row in rows], " ")
        (folder / name).write_text(text, newline="")
    return folder


@pytest.mark.parametrize("kind", ["csv", "libfm", "libsvm"])
def test_frappe_keeps_every_value_in_order_and_trains_by_the_config(tmp_path, kind):
    convert("frappe", write_frappe(tmp_path / "source", kind), tmp_path)
    for seed, name in enumerate(["train", "valid", "test"]):
        table = pq.read_table(tmp_path / f"{name}.parquet")
        assert table.schema.equals(pa.schema([("label", pa.int8()), *((field, pa.int32()) for field in FRAPPE)]))
        assert [list(row.values()) for row in table.to_pylist()] == frappe_rows(seed)
    experiment = load_experiment(
        ROOT / "configs/frappe/dcn_v2.yaml", [f"data.root={tmp_path}", "training.last_batch=keep"]
    )
    assert {len(groups) for groups in prepare(experiment).splits.values()} == {1}


def test_frappe_is_read_from_a_zip_file(tmp_path, out):
    convert("frappe", write_zip(tmp_path / "Frappe_x1.zip", write_frappe(tmp_path / "Frappe_x1", "csv")), out)
    assert rows_in(out / "test.parquet") == frappe_rows(2)


def test_frappe_takes_the_first_and_last_id_of_each_field(tmp_path, out):
    folder = write_frappe(tmp_path, "csv")
    (folder / "test.csv").write_text(lines_of([["label", *FRAPPE], [1, *FIRST], [0, *LAST]], ","))
    convert("frappe", folder, out)
    assert rows_in(out / "test.parquet") == [[1, *FIRST], [0, *LAST]]


@pytest.mark.parametrize(
    ("kind", "name", "old", "new", "said"),
    [
        ("csv", "test.csv", "label,user", "label,use", "line 1: expected the header label,user,item"),
        (
            "csv",
            "test.csv",
            "city\r\n",
            "city\r\n2,1,957,5039,5046,5053,5055,5058,5060,5069,5149\r\n",
            "line 2: a label must be",
        ),
        (
            "csv",
            "test.csv",
            "city\r\n",
            "city\r\n1,957,957,5039,5046,5053,5055,5058,5060,5069,5149\r\n",
            "line 2: user must be",
        ),
        ("csv", "test.csv", "city\r\n", "city\r\n1,957\r\n", "line 2: expected 11 fields, got 2"),
        ("libfm", "frappe.test.libfm", ":1 ", ":2 ", "line 1: user must be 0:1 to 956:1. Received: "),
        ("libfm", "frappe.train.libfm", "-1 ", "-2 ", "a label must be 1, 0 or -1. Received: '-2'"),
    ],
)
def test_mistakes_in_frappe_are_named(tmp_path, out, kind, name, old, new, said):
    path = write_frappe(tmp_path / "source", kind) / name
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), 1))
    assert f"{path}" in (message := mistake(out.parent, "frappe", tmp_path / "source", out))
    assert said in message


def test_the_original_frappe_is_refused(tmp_path, out):
    (tmp_path / "frappe.csv").write_text("user\titem\tcnt\n1\t2\t3\n")
    assert "frappe.csv: neither a folder nor a complete zip file" in mistake(
        out.parent, "frappe", tmp_path / "frappe.csv", out
    )
    assert "with all of train.csv, valid.csv, test.csv or" in mistake(out.parent, "frappe", tmp_path, out)


# ----------------------------------------------------------------------------------------------------------- Amazon

REVIEWS = [  # synthetic; ann's ties keep this order, in which neither names nor numbers of items are sorted
    ["cat", "Z", 300],
    ["ann", "Y", 200],
    ["cat", "Y", 100],
    ["ann", "X", 200],
    ["cat", "W", 200],
    ["bob", "X", 7],
    ["ann", "Z", 200],
    ["dan", "Y", 1],
    ["ann", "W", 100],
    ["cat", "X", 400],
    ["bob", "V", 8],
]
CAT, ANN, BOB = 1, 2, 3
AMAZON = pa.schema(
    [("label", pa.int8()), ("user_id", pa.int32()), ("item_id", pa.int32()), ("hist_items", pa.list_(pa.int32()))]
)


def write_reviews(path, reviews):
    """Write reviews as published: one object per line, with further keys."""
    keys = ["reviewerID", "asin", "unixReviewTime"]
    others = {"helpful": [0, 1], "reviewText": "très bien,\n{", "overall": 5.0, "reviewTime": "01 2, 2014"}
    text = "".join(json.dumps(others | dict(zip(keys, review, strict=True))) + "\n" for review in reviews)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def amazon_sets(reviews, folder, *options):
    convert("amazon", write_reviews(folder / "reviews.json", reviews), folder / "sets", "--overwrite", *options)
    return [rows_in(folder / "sets" / f"{name}.parquet") for name in ("train", "valid", "test")]


def many_reviews(seed):
    rng = np.random.default_rng(seed)
    columns = rng.integers(30, size=600), rng.integers(40, size=600), rng.integers(99, size=600)
    return [[f"user {user}", f"item {item}", int(time)] for user, item, time in zip(*columns, strict=True)]


@pytest.mark.parametrize("name", ["reviews.json", "reviews.json.gz"])
def test_amazon_has_a_positive_and_a_negative_row_for_each_review_but_the_first(tmp_path, out, name):
    message = convert("amazon", write_reviews(tmp_path / name, REVIEWS), out).stdout
    assert all(pq.read_schema(path).equals(AMAZON) for path in out.iterdir())
    train, valid, test = (rows_in(out / f"{name}.parquet") for name in ("train", "valid", "test"))
    drawn = [row for row in train if row[:2] == [0, BOB]]  # bob did not review three items; cat and ann only the fifth
    assert [(row[2] in (1, 2, 4), row[3]) for row in drawn] == [(True, [3])]
    train.remove(drawn[0])
    assert sorted(train) == [
        [0, CAT, 5, [2]],
        [0, ANN, 5, [4]],
        [1, CAT, 4, [2]],
        [1, ANN, 2, [4]],
        [1, BOB, 5, [3]],  # of two reviews; dan's only one has no history
    ]
    assert sorted(valid) == [
        [0, CAT, 5, [2, 4]],
        [0, ANN, 5, [4, 2]],
        [1, CAT, 1, [2, 4]],
        [1, ANN, 3, [4, 2]],
    ]
    assert sorted(test) == [
        [0, CAT, 5, [2, 4, 1]],
        [0, ANN, 5, [4, 2, 3]],
        [1, CAT, 3, [2, 4, 1]],
        [1, ANN, 1, [4, 2, 3]],
    ]
    assert f"{out / 'train.parquet'}: 6 rows, positive rate 0.5000" in message


def test_amazon_splits_each_user_by_time(tmp_path):
    """The splits equal those of plain lists, user by user."""
    reviews = many_reviews(0)
    users, items = (list(dict.fromkeys(review[place] for review in reviews)) for place in (0, 1))
    expected = [[], [], []]
    for number, user in enumerate(users, 1):
        own = sorted((review for review in reviews if review[0] == user), key=lambda review: review[2])
        own = [items.index(item) + 1 for _, item, _ in own]
        for place in range(1, len(own)):
            which = max(0, place - len(own) + 3)
            expected[which].append([1, number, own[place], own[:place]])
    sets = amazon_sets(reviews, tmp_path)
    for rows, positives in zip(sets, expected, strict=True):
        assert sorted(row for row in rows if row[0]) == sorted(positives)
        negatives = [row for row in rows if not row[0]]
        assert sorted([row[1], row[3]] for row in negatives) == sorted([row[1], row[3]] for row in positives)
        assert not any(
            [users[user - 1], items[item - 1]] in [review[:2] for review in reviews] for _, user, item, _ in negatives
        )
        assert rows != sorted(rows, key=lambda row: row[1])
        assert {row[0] for row in rows[: len(rows) // 2]} == {0, 1}


def test_amazon_depends_on_the_seed_only(tmp_path):
    first, again, other = (amazon_sets(many_reviews(0), tmp_path, "--seed", seed) for seed in (1, 1, 2))
    assert first == again == amazon_sets(many_reviews(0), tmp_path)
    for rows, others in zip(first, other, strict=True):
        positives, other_positives = ([row for row in some if row[0]] for some in (rows, others))
        assert positives != other_positives
        assert sorted(positives) == sorted(other_positives)
        assert sorted(rows) != sorted(others)


def test_amazon_draws_negatives_uniformly(tmp_path):
    """A user reviewed two of six items repeatedly."""
    reviews = [[f"b{n}", f"item {n}", 1] for n in (5, 4, 3, 2, 1, 0)]  # items 1 and 0 get the numbers 5 and 6
    reviews += [["a", f"item {n % 2}", n] for n in range(4000)]
    drawn = [row[2] for rows in amazon_sets(reviews, tmp_path) for row in rows if not row[0]]
    counts = np.bincount(drawn, minlength=7)
    assert counts[[0, 5, 6]].tolist() == [0, 0, 0]
    assert abs(counts[1:5] - 999.75).max() < 5 * np.sqrt(1000 * 0.75)


def test_amazon_looks_back_on_fifty_items(tmp_path):
    reviews = [["a", f"item {n}", n] for n in range(1, 55)] + [["b", "item 55", 1]]
    train, valid, test = amazon_sets(reviews, tmp_path)
    histories = {item: history for label, _, item, history in train + valid + test if label}
    assert histories == {item: list(range(max(1, item - 50), item)) for item in range(2, 55)}
    assert {len(history) for _, _, item, history in test} == {50}


def test_amazon_of_single_reviews_has_no_rows(tmp_path):
    assert amazon_sets([["a", "X", 1], ["b", "X", 1]], tmp_path) == [[], [], []]


@pytest.mark.parametrize("name", ["can_din", "can_dnn", "dcn_v2", "din", "dnn", "wide_deep"])
def test_amazon_trains_by_the_configs(tmp_path, name):
    convert("amazon", write_reviews(tmp_path / "reviews.json", many_reviews(0)), tmp_path)
    experiment = load_experiment(ROOT / f"configs/beauty/{name}.yaml", [f"data.root={tmp_path}"])
    assert {len(groups) for groups in prepare(experiment).splits.values()} == {1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"reviewerID": "a", "asi', "not JSON (Unterminated string starting at: column 21 (char 20)). Check"),
        ("{'reviewerID': 'a', 'asin': 'X', 'unixReviewTime': 1}", "not JSON (Expecting property name"),
        ("", "not JSON (Expecting value"),
        (b'{"reviewerID": "\xff"}', "not JSON ('utf-8' codec can't decode"),
        ('["a", "X", 1]', "key 'reviewerID' not found. Use a file of reviews with reviewerID, asin, unixReviewTime."),
        (
            '{"reviewerID": "a", "unixReviewTime": 1}',
            "key 'asin' not found. Use a file of reviews with reviewerID, asin, unixReviewTime.",
        ),
        ('{"reviewerID": null, "asin": "X", "unixReviewTime": 1}', "reviewerID must be a name. Received: None"),
        ('{"reviewerID": "a", "asin": 5, "unixReviewTime": 1}', "asin must be a name. Received: 5"),
        ('{"reviewerID": "a", "asin": "", "unixReviewTime": 1}', "asin must be a name. Received: ''"),
        (
            '{"reviewerID": "a", "asin": "X", "unixReviewTime": "1"}',
            "unixReviewTime must be seconds since 1970. Received: '1'",
        ),
        (
            '{"reviewerID": "a", "asin": "X", "unixReviewTime": true}',
            "unixReviewTime must be seconds since 1970. Received: True",
        ),
        (
            '{"reviewerID": "a", "asin": "X", "unixReviewTime": 1e99}',
            "unixReviewTime must be seconds since 1970. Received: 1e+99",
        ),
    ],
)
def test_a_bad_line_of_amazon_is_named(tmp_path, out, line, said):
    path = write_reviews(tmp_path / "reviews.json", REVIEWS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], line if isinstance(line, bytes) else line.encode(), b"\n", *lines[4:]]))
    assert f"{path}, line 5: {said}" in mistake(out.parent, "amazon", path, out)


def test_mistakes_in_amazon_are_named(tmp_path, out):
    path = tmp_path / "reviews.json.gz"
    for content, said in (
        (b"", "no rows. Download it again."),
        (gzip.compress(b""), "no rows. Download it again."),
        (write_reviews(path, REVIEWS).read_bytes()[:-20], "damaged or incomplete ("),
        (b'{"reviewerID": "a", "asin": "X", "unixReviewTime": 1}', "damaged or incomplete (Not a gzipped file"),
        (write_reviews(path, REVIEWS[:3]).read_bytes(), "cat reviewed every item, so no negative exists"),
    ):
        path.write_bytes(content)
        assert f"{path}: {said}" in mistake(out.parent, "amazon", path, out)
    assert CliRunner().invoke(app, ["amazon", str(path), str(out), "--seed", "-1"]).exit_code == 2
