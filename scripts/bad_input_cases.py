"""CASES: the invalid inputs, by kind."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from bad_classical_cases import CLASSICAL_STUDIES
from bad_feature_cases import FEATURES
from bad_final_cases import FINAL_CONFIGS
from bad_first_order_cases import FIRST_ORDER_CONFIGS
from bad_folder_cases import FOLDERS
from bad_option_cases import CONFIG_FILES, PSI_OPTIONS, STUDY_OPTIONS, TRAINED_RUNS
from bad_pair_cases import PAIR_CONFIGS
from bad_qnn_cases import QNN_CONFIGS
from bad_split_cases import SPLIT_CONFIGS, SPLIT_VALUES
from bad_type_cases import TYPE_CONFIGS
from breakable_experiment import (
    COMPARE,
    EVALUATE,
    PART,
    RESUME,
    ROWS,
    RUN,
    TRAIN,
    Case,
    as_written,
    bomb,
    command,
    cut,
    files,
    flip,
    fresh,
    has_one,
    holds,
    merge,
    put,
    rewrite,
    rewrite_all,
    saved,
    schema,
    set_to,
    setting,
    study,
    table,
    text,
    value,
)

from ctr.runs.checksums import write_checksums

PLAIN = {"compression": "none", "use_dictionary": False}
DIVERGED = RUN / "diverged/step-000000001.parquet"
CAN = {"type": "can", "base": "dnn", "pairs": [["item", "history"]]}
SPLIT_TRAIN = {"train": "clicks/part-0.parquet", "label": "clicked"}
TWO, THREE = ({"by": "random", "fractions": fractions} for fractions in ([0.9, 0.1], [0.8, 0.1, 0.1]))
INFINITY, NAN = float("inf"), float("nan")


def change_page() -> None:
    """A bit flips under a checksum that the writer left."""
    rewrite(lambda table: table, **PLAIN, write_page_checksum=True)
    put(PART, b"item 3", b"item 2")


def zero_page() -> None:
    """A hole of zeros where the first pages are."""
    content = PART.read_bytes()
    PART.write_bytes(content[:4] + bytes(296) + content[300:])


def latin_1() -> None:
    """Text in another encoding."""
    rewrite(lambda table: table, **PLAIN)
    put(PART, b"item 3", b"item \xe9")


def train_two_epochs() -> None:
    """The run has trained for two epochs."""
    put(RUN / "config.yaml", b"\n  epochs: 1\n", b"\n  epochs: 2\n")
    put(RUN / "report.json", b'"epochs": 1', b'"epochs": 2')


def stop_early() -> None:
    """Early stopping has ended the run."""
    merge(saved("position.json"), misses=3)
    write_checksums(saved("position.json").parent)


def into_folder(name: str) -> None:
    """The second file moves into a folder of this name."""
    folder = PART.parent / name
    folder.mkdir(parents=True)
    PART.rename(folder / PART.name)


def one_and_two(table: pa.Table) -> pa.Table:
    """Labels of 1 and 2 in place of 0 and 1."""
    labels = pc.add(table["clicked"].cast(pa.int64()), 1)
    return table.set_column(table.schema.get_field_index("clicked"), "clicked", labels)


def rates(schedule: dict[str, object]) -> dict[str, object]:
    """A tower's optimizer with a schedule."""
    return {"dense": {"type": "adam", "learning_rate": schedule}}


FILES = [
    files("text called .parquet", lambda: PART.write_text("user,item\n1,2\n"), str(PART), "not a readable Parquet"),
    files("an ORC file called .parquet", lambda: PART.write_bytes(b"ORC" + bytes(100)), str(PART), "ORC", "Convert it"),
    files("a file of JSON", lambda: PART.write_text('[{"user": 1}]'), str(PART), "JSON", "Convert it"),
    files("an empty file", lambda: PART.write_bytes(b""), str(PART), "0 bytes"),
    files("a file whose end is missing", lambda: cut(PART, end=-100), str(PART)),
    files("a file whose beginning is missing", lambda: cut(PART, start=200), str(PART)),
    files("a hole of zeros in a page", zero_page, f"{PART}, row group 0"),
    files("a changed page under a checksum", change_page, f"{PART}, row group 0", "CRC"),
    files("text in Latin-1", latin_1, f"{PART}, row group 0", "UTF8"),
    files("an encrypted file", lambda: put(PART, b"PAR1", b"PARE"), str(PART), "encrypted"),
    files("two columns of one name", lambda: rewrite(lambda t: t.append_column("user", t["user"])), str(PART), "user"),
    files("no such path", lambda: set_to("data.path", "klicks"), "klicks", "no such file"),
    files("a glob that matches nothing", lambda: set_to("data.path", "clicks/x-*.parquet"), "clicks/x-*.parquet"),
    files("an open bracket in a glob", lambda: set_to("data.path", "clicks/[a.parquet"), "clicks/[a.parquet"),
    files("an empty path", lambda: set_to("data.path", ""), "data: `path`"),
    files("an empty list of paths", lambda: set_to("data.path", []), "data: `path`"),
    files("a path twice", lambda: set_to("data.path", ["clicks", str(PART)]), str(PART), "twice"),
    files("a path with a NUL", lambda: set_to("data.path", "clicks\0"), "clicks", "NUL"),
    files("an unknown file system", lambda: set_to("data.path", "ftp://host/clicks"), "ftp://host/clicks"),
    files("a folder without files", lambda: fresh(PART.parent, Path.mkdir), "clicks", "no *.parquet files"),
    files("a folder called x.parquet", lambda: fresh(PART, Path.mkdir) or set_to("data.path", str(PART)), str(PART)),
    files("files without rows", lambda: rewrite_all(lambda t: t.slice(0, 0)), "clicks", "no rows"),
    files("a link to itself", lambda: fresh(PART, lambda path: path.symlink_to(path.name)), str(PART)),
    files("a link to a file that is gone", lambda: fresh(PART, lambda path: path.symlink_to("gone")), str(PART)),
    files("a folder that is not UTF-8", lambda: into_folder("shop=%FF"), "clicks/shop=%FF/part-1.parquet", "UTF-8"),
    files(
        "a folder in a folder with another value",
        lambda: into_folder("shop=1/shop=2"),
        "clicks/shop=1/shop=2/part-1.parquet",
        "shop=1 and shop=2",
    ),
    files("a folder linked into itself", lambda: Path("clicks/again").symlink_to("."), "clicks/again", "by a link"),
]
SCHEMAS = [
    schema("no label", lambda t: t.drop_columns(["clicked"]), "'clicked'"),
    schema("no weight", lambda t: t.drop_columns(["w"]), "'w'"),
    schema("a feature renamed", lambda t: t.rename_columns({"user": "users"}), "'user'", "'users'"),
    schema("no column to split by", lambda t: t.drop_columns(["ts"]), "'ts'"),
    Case(
        "schemas", "no kept column", lambda: set_to("data.keep", ["shop"]), TRAIN, ("'shop'", "clicks/part-0.parquet")
    ),
    Case("schemas", "no group", lambda: set_to("report.group", "shop"), TRAIN, ("'shop'", "clicks/part-0.parquet")),
    Case(
        "schemas", "a kept column called score", lambda: set_to("data.keep", ["score"]), TRAIN, ("data.keep", "score")
    ),
    Case("schemas", "a group called score", lambda: set_to("report.group", "score"), TRAIN, ("report.group", "score")),
    schema("integers in one file, text in another", holds("item", range(ROWS)), "'item'", "string"),
    schema("a label of text", holds("clicked", "yes"), "'clicked'", "string"),
    schema("a weight of text", holds("w", "1"), "'w'", "string"),
    schema("a number of text", holds("price", "cheap"), "'price'", "string"),
    schema("ids as floats", holds("user", 1.0), "'user'", "double", "data.cast: {user: integer}"),
    schema("ids as bytes", holds("user", b"\xff"), "'user'", "binary", "data.cast: {user: text}", "{user: hex}"),
    schema("ids as UUIDs", holds("user", bytes(16), pa.uuid()), "'user'", "uuid", "{user: text}", "{user: hex}"),
    schema("a struct as a feature", holds("user", {"id": 1}), "'user'", "struct"),
    schema("a map as a feature", holds("user", [("a", 1)], pa.map_(pa.string(), pa.int64())), "'user'", "map"),
    schema("a sequence of lists", holds("history", [["a"]]), "'history'", "list"),
    schema("a sequence that is text", holds("history", "a"), "'history'", "string"),
    schema("times of text", holds("ts", "2026-01-01"), "'ts'", "string", "{ts: {timestamp: FORMAT}}"),
]
VALUES = [
    value("a label of 2", has_one("clicked", 2), "row group 0", "'clicked' is 2"),
    value("labels of 1 and 2", one_and_two, "'clicked' has the values 1 and 2", "Map its values to 0 and 1"),
    value("a null label", has_one("clicked", None), "row group 0", "'clicked' is null"),
    value("a label of NaN", has_one("clicked", NAN, pa.float64()), "row group 0", "'clicked' is nan"),
    value("a weight of NaN", has_one("w", NAN), "row group 0", "'w' is nan"),
    value("a negative weight", has_one("w", -1.0), "row group 0", "'w' is -1.0"),
    value("a null weight", has_one("w", None), "row group 0", "'w' is null"),
    value("an infinite weight", has_one("w", INFINITY), "row group 0", "'w' is inf"),
    Case("values", "weights of 0", lambda: rewrite_all(holds("w", 0.0)), TRAIN, ("training data", "'w'")),
    value("an infinite number", has_one("price", -INFINITY), "row group 0", "'price' holds -inf"),
    value("a number beyond float32", has_one("price", 1e300), "row group 0", "'price' holds 1e+300"),
    value("an id that is too large", has_one("user", 8), "row group 0", "'user' holds the id 8"),
    value("a negative id", has_one("user", -1), "row group 0", "'user' holds the id -1"),
    value("a null time", has_one("ts", None), "row group 0", "'ts'"),
    value("a time 300,000 years ago", has_one("ts", -(2**63)), "'ts' ranges from"),
    Case("values", "labels of 1 only", lambda: rewrite_all(holds("clicked", 1)), TRAIN, ("training data", "'clicked'")),
    Case(
        "values",
        "one time in all rows",
        lambda: rewrite_all(holds("ts", 0, pa.timestamp("us"))),
        TRAIN,
        ("the split by time", "no rows for"),
    ),
    Case(
        "values",
        "more ids than max_distinct",
        lambda: [set_to(f"features.columns.{name}.vocabulary", {"max_distinct": 2}) for name in ("item", "history")],
        TRAIN,
        ("item", "max_distinct", "hash"),
    ),
    Case(
        "values",
        "more bad rows than allowed",
        lambda: [set_to("data.bad_rows", {"skip": 0.001}), rewrite(has_one("clicked", 2)), rewrite(has_one("w", -1.0))],
        TRAIN,
        ("bad_rows", str(PART)),
    ),
]
CONFIGS = [
    text("an empty file", "", "mapping"),
    text("a list", "- name: tiny\n", "list"),
    text("bytes that are not text", bytes(range(256)), "utf-8"),
    text("not YAML", "data: [1, 2\nname: }\n", "line 2"),
    text("tabs", "data:\n\tpath: clicks\n", "line 2", "\\t"),
    text("a NUL", "name: \0\n", "#x0000"),
    text("a key twice", "name: a\nname: b\n", "duplicate key 'name'"),
    text("a tag that runs a command", '!!python/object/apply:os.system ["touch pwned"]\n', "os.system"),
    text("aliases that become 10^11 values", bomb("name:"), "aliases", "values"),
    text("an alias of itself", "name: &a [*a]\n", "aliases"),
    text("lists in 10,000 lists", "name: " + "[" * 10_000 + "]" * 10_000, "nested too deep"),
    text("10 MB", f"name: {'x' * 10_000_000}\n", "8,388,608"),
    text("an invalid day", "name: 2026-02-31\n", "timestamp", "line 1"),
    text("a number of 5,000 digits", f"seed: {'9' * 5000}\n", "int", "4300 digits"),
    text("other keys in each line", "\n".join(f"key_{k}: {k}" for k in range(40)), "key_0"),
    setting("an unknown key", "training.batchsize", 3, "training", "'batchsize'", "'batch_size'"),
    setting("a text for a number", "training.batch_size", "many"),
    setting("a cast to no type", "data.cast", {"user": "int"}, "data.cast.user", "integer", "'int'"),
    setting("a cast of no column", "data.cast", {"usr": "text"}, "data.cast", "'usr'", "'user'"),
    setting("an unknown time format", "data.cast", {"ts": {"timestamp": "%Q"}}, "data.cast.ts.timestamp", "%Q"),
    setting("a cast that a type does not have", "data.cast", {"item": "hex"}, "part-0.parquet", "'item'", "binary"),
    setting("a cast that a value does not have", "data.cast", {"item": "integer"}, "row group 0", "'item'", "'item "),
    setting(
        "a missing setting", "data", {"path": "clicks", "split": {"by": "rows", "fractions": [1, 0, 0]}}, "data.label"
    ),
    setting("a name with a slash", "name", "../../elsewhere", "name: ", "../../elsewhere"),
    setting("a name with a NUL", "name", "a\0b", "name: ", "control"),
    setting("a name of 300 letters", "name", "n" * 300, "name: ", "200 bytes"),
    setting("a column with a NUL", "features.columns.user", {"column": "us\0er"}, "'us\\x00er'", "'user'"),
    setting(
        "an unknown type of a feature", "features.columns.user", {"type": "categoric"}, "'categoric'", "'categorical'"
    ),
    setting("an unknown model", "model.type", "dcn_v4", "model", "'dcn_v4'", "'dcn_v2'"),
    setting("a model of other libraries", "model.type", "PNN", "type 'PNN'", "compressed_dot", "migrate.md"),
    setting(
        "an unknown optimizer", "optimizers.sparse", {"*": {"type": "adagard"}}, "optimizers.sparse.*", "'adagrad'"
    ),
    setting("Adam on tables", "optimizers.sparse", {"*": {"type": "adam"}}, "optimizers.sparse.*", "dense tower"),
    setting(
        "a pattern without a table", "optimizers.sparse", {"usr": {"type": "ftrl"}, "*": {"type": "ftrl"}}, "'usr'"
    ),
    setting(
        "a tie of patterns",
        "optimizers.sparse",
        {"us*": {"type": "ftrl"}, "*er": {"type": "ftrl"}, "*": {"type": "ftrl"}},
        "'us*'",
        "'*er'",
    ),
    setting("no pattern for a table", "optimizers.sparse", {"user": {"type": "ftrl"}}, "'item'"),
    setting("a key of version 0.4", "training.plateau", {"factor": 0.3}, "'plateau'", "'reduce_lr_on_plateau'"),
    setting("a feature as in version 0.4", "features.columns.price", {"kind": "numeric"}, "'kind'", "'type'"),
    setting(
        "a tower that is not trusted", "model", {"type": "their.towers:Tower"}, "'their.towers:Tower'", "--trust their"
    ),
    setting("a tower by its module", "model", {"type": "models.dnn:DNN"}, "'models.dnn:DNN'", "registered"),
    setting("a tower that is not a name", "model", {"type": "../towers:Tower"}, "'../towers:Tower'", "MODULE:NAME"),
    setting("an unknown schedule", "optimizers", rates({"schedule": "cosin", "initial": 0.1}), "'cosin'", "'cosine'"),
    setting("a rate of NaN", "optimizers", rates({"schedule": "cosine", "initial": NAN}), "initial", "nan"),
    setting(
        "a rate beyond float32", "optimizers.sparse", {"*": {"type": "ftrl", "learning_rate": 1e300}}, "learning_rate"
    ),
    setting(
        "an unknown time zone", "features.columns.hour", {"column": "ts", "part": "hour", "time_zone": "Mars/Base"}
    ),
    setting(
        "DIN of an unknown feature",
        "model",
        {"type": "din", "targets": {"hist": "item"}},
        "'hist'",
        "Use one of: history",
    ),
    setting(
        "CAN of an unknown feature", "model", {"type": "can", "base": "dnn", "pairs": [["itm", "history"]]}, "'itm'"
    ),
    setting(
        "a cross of an unknown feature",
        "features.columns.c",
        {"type": "cross", "of": ["user", "itm"], "hash": 10, "dim": 2},
        "'itm'",
        "'item'",
    ),
    setting("the label as a feature", "features.columns.leak", {"column": "clicked"}),
    setting("fractions beyond 1", "data.split.fractions", [0.6, 0.2, 0.3], "data.split", "sum to 1"),
    setting("a test fraction of the training files", "data", {**SPLIT_TRAIN, "split": THREE}, "train and valid only"),
    setting("two validation sets", "data", {**SPLIT_TRAIN, "split": TWO, "valid": str(PART)}, "`valid` has its own"),
    setting("a fraction of NaN", "data.split.fractions", [0.6, NAN, 0.2], "data.split.fractions"),
    setting("a start of infinity", "model.initializer", {"tables": INFINITY}, "initializer.tables"),
    setting("a numeric head bias", "model.initializer", {"head_bias": -3}, "initializer.head_bias", "log_odds"),
    setting("a word for null that YAML converts", "features.columns.user.missing", [False], "Quote them", '["null"]'),
    setting("unseen ids left out", "features.unseen", "skip", "features.unseen", "shared"),
    setting(
        "a monitor without its groups",
        "training.early_stopping",
        {"metric": "auc + gauc"},
        "training.early_stopping.metric: 'auc + gauc'",
    ),
    setting("a norm of NaN", "optimizers.clip_norm", NAN),
    setting("a negative size", "training.batch_size", -1),
    setting("a batch of 10^15 rows", "training.batch_size", 10**15),
    setting("10^18 epochs", "training.epochs", 10**18),
    setting("10^9 threads", "training.threads", 10**9),
    setting("10^6 replicas", "training.replicas", 10**6),
    setting("10^18 checkpoints", "training.checkpoint.keep", 10**18),
    setting("a seed of 10^30", "seed", 10**30),
    setting("a layer of 10^12", "model.hidden", [10**12], "model: hidden"),
    setting("an epsilon of 0", "model.batch_norm", {"epsilon": 0}, "model.batch_norm.epsilon"),
    setting("a weight of 2^32 numbers", "model.hidden", [2**16] * 2, "model: deep", "fewer than 2^31 numbers"),
    setting("layers that memory does not hold", "model.hidden", [2**15] * 90, "memory: ", "narrower layers"),
    setting("10^9 cross layers", "model", {"type": "dcn_v2", "cross_layers": 10**9}, "model: cross_layers"),
    setting("10^9 orders", "model", {**CAN, "orders": 10**9}, "model: orders"),
    setting("a micro-MLP of 10^9", "model", {**CAN, "micro_mlp": [10**9, 4]}, "model: micro_mlp"),
    setting("a micro-MLP of 10^8 numbers", "model", {**CAN, "micro_mlp": [10**4, 10**4]}, "model: micro_mlp"),
    setting(
        "attention of 10^12",
        "model",
        {"type": "din", "targets": {"history": "item"}, "attention": [10**12]},
        "attention",
    ),
    setting("10^12 compressed vectors", "model", {"type": "compressed_dot", "compressed": 10**12}, "model: compressed"),
    setting(
        "a schedule over 10^18 epochs",
        "optimizers",
        rates({"schedule": "cosine", "initial": 0.1, "over": 10**18}),
        "over",
    ),
    setting(
        "slow weights each 10^30 steps",
        "optimizers",
        {"dense": {"type": "adam", "lookahead": {"every": 10**30}}},
        "every",
    ),
    setting("10^9 experts", "model", {"type": "dcn_mix", "experts": 10**9}, "model: experts"),
    setting("a width of 10^12", "features.columns.item.dim", 10**12),
    setting("histories of 10^12", "features.columns.history.max_length", 10**12),
    setting("a hash of 10^18", "features.columns.user", {"hash": 10**18}, "features.columns.user.hash"),
    setting("ids up to 10^18", "features.columns.user.identity", 10**18),
    setting("10^12 bins of PSI", "report.psi.bins", 10**12),
    setting("10^12 worst rows", "report.worst_rows", 10**12),
]
COMMANDS = [
    command("a config for no files", "init klicks", "klicks", "no such file"),
    command("a config with an unknown model", "init clicks --model wide", "--model: unknown model 'wide'", "wide_deep"),
    command("a config for an unknown label", "init clicks --label click", "no column 'click'", "'clicked'"),
    command("a config for a label of text", "init clicks --label item", "'item'", "expected 0 and 1"),
    command(
        "a config without a label",
        "init clicks",
        "no column holds only 0 and 1",
        damage=lambda: rewrite_all(lambda t: t.drop_columns(["clicked"])),
    ),
    command(
        "a config with several labels",
        "init clicks",
        "2 columns hold 0 and 1",
        damage=lambda: rewrite_all(lambda t: t.append_column("click", t["clicked"])),
    ),
    command(
        "inspecting labels of 1 and 2",
        "inspect config.yaml",
        "'clicked' has the values 1 and 2",
        "Map its values to 0 and 1",
        damage=lambda: rewrite_all(one_and_two),
    ),
    command(
        "a warm start from no run", "train config.yaml --run runs/new --warm-start clicks", "warm_start.run", "clicks"
    ),
    command(
        "a warm start from the run itself", "train config.yaml --overwrite --warm-start runs/tiny", "warm_start.run"
    ),
    command(
        "a warm start of another model",
        "train config.yaml --run runs/new --warm-start runs/tiny --set model.batch_norm=false",
        "model.batch_norm",
    ),
    command(
        "a warm start of other optimizers",
        "train config.yaml --run runs/new --warm-start runs/tiny --set optimizers.dense.type=lamb",
        "tower deep",
        "lamb",
    ),
    command("no such config", "train no.yaml", "no.yaml"),
    command("a config that is a folder", "train clicks", "clicks"),
    command("an unknown option", f"{TRAIN} --epochs 3", "--epochs"),
    command("--set without a value", f"{TRAIN} --set seed", "'seed'", "KEY=VALUE"),
    command("--set without a key", f"{TRAIN} --set =1", "'=1'"),
    command("--set below a number", f"{TRAIN} --set name.first=1", "'name'"),
    command("--set to what is not YAML", f"{TRAIN} --set 'seed=[1'", "'seed=[1'"),
    command("--set to lists in 10,000 lists", f"{TRAIN} --set seed={'[' * 10_000}", "nested too deep"),
    command(
        "an existing run",
        "train config.yaml",
        "runs/tiny",
        "already holds a run",
        "--overwrite (in Python overwrite=True)",
    ),
    command("--resume with --overwrite", f"{RESUME} --overwrite", "resume: cannot be combined", "overwrite"),
    command("--resume with other settings", f"{RESUME} --set training.batch_size=32", "training.batch_size: 64"),
    command(
        "--resume with fewer epochs than trained",
        RESUME,
        "training.epochs: 1",
        "trained 2",
        damage=as_written(train_two_epochs),
    ),
    command(
        "more epochs after an early stop",
        f"{RESUME} --set training.epochs=2",
        "training.early_stopping.patience: 3",
        "above 3",
        damage=as_written(stop_early),
    ),
    command("--overwrite with bad data", "train config.yaml --overwrite --set data.path=klicks", "klicks"),
    command("a run folder that is a file", "train config.yaml --run config.yaml", "config.yaml"),
    command("a run folder that is not a run", "train config.yaml --run clicks --overwrite", "clicks", "not a run"),
    command("inspecting a damaged file", "inspect config.yaml", str(PART), damage=lambda: cut(PART, end=-100)),
    command(
        "a trusted tower that does not exist",
        f"{TRAIN} --trust yaml --set model=yaml.nowhere:Tower",
        "'yaml.nowhere:Tower'",
        "No module named",
    ),
    command("trust in a package that does not exist", f"{TRAIN} --trust nowhere", "--trust", "'nowhere'"),
    command(
        "a trusted class that is not a tower",
        f"{TRAIN} --trust yaml --set model=yaml:SafeLoader",
        "'yaml:SafeLoader'",
        "models.Tower",
    ),
    command("trust in the project", f"{TRAIN} --trust models", "--trust", "'models'"),
    command("evaluating no run", "evaluate clicks clicks", "clicks", "no run"),
    command("an option of version 0.4", f"{EVALUATE} --sampled", "--sampled", "--negatives-sampled", "0.5.0"),
    command("evaluating no data", "evaluate runs/tiny klicks", "klicks"),
    command("evaluating an unfinished run", EVALUATE, "unfinished", damage=(RUN / "report.json").unlink),
    command("data without a feature", EVALUATE, "'user'", damage=lambda: rewrite(lambda t: t.drop_columns(["user"]))),
    command("evaluating into other files", f"{EVALUATE} --out runs --overwrite", "runs", "not an evaluation"),
    command("half a report.json", EVALUATE, "report.json", "damaged", damage=lambda: cut(RUN / "report.json", end=99)),
    command(
        "a report.json of {}",
        EVALUATE,
        "report.json",
        damage=as_written(lambda: (RUN / "report.json").write_text("{}")),
    ),
    command(
        "a report.json of 10^5 lists",
        "report runs/tiny",
        "report.json",
        "damaged",
        damage=as_written(lambda: (RUN / "report.json").write_text("[" * 10**5)),
    ),
    command("one bit of a checkpoint", EVALUATE, "state.data", "SHA-256", damage=lambda: flip(saved("state.data*"))),
    command("no checkpoint", EVALUATE, "checkpoints", damage=lambda: shutil.rmtree(saved(""))),
    command(
        "best.json that leads elsewhere",
        EVALUATE,
        "best.json",
        "damaged",
        damage=as_written(lambda: merge(RUN / "checkpoints/best.json", checkpoint="../../elsewhere")),
    ),
    command(
        "best.json without a step",
        EVALUATE,
        "best.json",
        damage=as_written(lambda: merge(RUN / "checkpoints/best.json", step=None)),
    ),
    command(
        "one bit of a vocabulary", EVALUATE, "vocabulary", damage=lambda: flip(RUN / "encoder/vocabulary-000.parquet")
    ),
    command("no encoder", EVALUATE, "encoder", damage=lambda: shutil.rmtree(RUN / "encoder")),
    command("half the reference of PSI", EVALUATE, "rows.npy", damage=lambda: cut(RUN / "reference/rows.npy", end=50)),
    command("report of no run", "report clicks", "clicks", "no run"),
    command(
        "report of a damaged report.json",
        "report runs/tiny",
        "report.json",
        damage=as_written(lambda: put(RUN / "report.json", b'"metrics"', b'"metrics')),
    ),
    command(
        "one bit of report.json", "report runs/tiny", "report.json", "SHA-256", damage=lambda: flip(RUN / "report.json")
    ),
    command("one bit of a run's config", EVALUATE, "config.yaml", "SHA-256", damage=lambda: flip(RUN / "config.yaml")),
    command("a run without checksums", EVALUATE, "checksums.json", "--resume", damage=(RUN / "checksums.json").unlink),
    command(
        "report of a report.json without checks",
        "report runs/tiny",
        "runs/tiny",
        "run.checks",
        damage=as_written(lambda: put(RUN / "report.json", b'"checks"', b'"cheques"')),
    ),
    command("report into no Markdown", "report runs/tiny --out page.html", "page.html"),
    command(
        "psi without common columns",
        "psi clicks other.parquet",
        "clicks",
        "other.parquet",
        damage=lambda: table({"shop": [1]})(Path("other.parquet")),
    ),
    command("psi of an unknown column", "psi clicks clicks --columns usr", "'usr'", "'user'"),
    command("psi with a config that does not exist", "psi clicks clicks --config no.yaml", "no.yaml"),
    command("psi with a folder that is not a run", "psi clicks clicks --config clicks", "clicks/config.yaml"),
    command("10^12 bins of psi", "psi clicks clicks --bins 1000000000000", "--bins"),
    command("replay of no step", "replay clicks/part-0.parquet", "clicks/part-0.parquet"),
    command(
        "replay of other data",
        f"replay {DIVERGED}",
        str(DIVERGED),
        damage=lambda: DIVERGED.parent.mkdir() or shutil.copy(PART, DIVERGED),
    ),
]
TUNED = {'optimizers.sparse."*"': {"type": "sgd", "learning_rate": {"tune": [0.1, 10]}}}
TURNED = {'optimizers.sparse."*"': {"type": "sgd", "learning_rate": {"tune": [10, 0.1]}}}


def choices(**settings: object) -> dict[str, object]:
    """An axis of these choices."""
    return {"axes": {"sparse": settings}}


STUDIES = [
    command("no such study", "compare nowhere.yaml", "nowhere.yaml", "no such config file"),
    study("a study given to ctr train", {}, "study.yaml", "a study", line="train study.yaml"),
    study("an unknown key of a study", {"trials": 3}, "study.yaml", "'trials'"),
    study("a study of no experiment", {"experiment": "nowhere.yaml"}, "nowhere.yaml", "no such config file"),
    study("a single option", choices(base={}), "study.yaml", "axes"),
    study("an option whose name is a path", choices(**{"../base": {}, "other": {}}), "'../base'", "folder"),
    study("an option called true", {"axes": {"corrected": {True: {}, False: {}}}}, "corrected", "quote names"),
    study("an unknown baseline", {"baseline": {"sparse": "bose"}}, "'bose'", "'base'"),
    study("a duplicate seed", {"seeds": [1, 1]}, "seeds", "duplicate seed 1"),
    study("a search range without a tuning budget", choices(base=TUNED, other=TUNED), "learning_rate", "tuning"),
    study("a tuning budget without a search range", {"tuning": {"trials": 3}}, "base", "no search range"),
    study("a search range with its ends swapped", choices(base=TURNED, other=TUNED), "learning_rate", "[10, 0.1]"),
    study("an unknown setting of an option", choices(base={}, other={"training.epoch": 1}), "other", "'epochs'"),
    study(
        "an optimizer pattern of an option that matches no table",
        choices(base={}, other={"optimizers.sparse": {"usr": {"type": "sgd"}}}),
        "other",
        "usr",
    ),
    study("a study of data without its label", {"settings": {"data.label": "click"}}, "'click'", "'clicked'"),
    study("a comparison where a run is", {}, "runs/tiny", "not a comparison", line=f"{COMPARE} --out runs/tiny"),
    study("no process at once", {}, "--processes", line=f"{COMPARE} --processes 0"),
    study("an unknown callback", {}, "nowhere:a", line=f"{COMPARE} --callback nowhere:a"),
    *CLASSICAL_STUDIES,
    *STUDY_OPTIONS,
    command(
        "a callback in a package that is called as one of ctr",
        "train config.yaml --callback models.callbacks:Log",
        "No module named 'models.callbacks'",
        "Rename your package: 'models' belongs to ctr itself.",
    ),
    command("a callback without a module", "train config.yaml --callback TensorBoard", "'TensorBoard'", "MODULE:NAME"),
]
CASES = [
    *FILES,
    *SCHEMAS,
    *VALUES,
    *SPLIT_VALUES,
    *CONFIGS,
    *TYPE_CONFIGS,
    *SPLIT_CONFIGS,
    *QNN_CONFIGS,
    *FINAL_CONFIGS,
    *PAIR_CONFIGS,
    *FIRST_ORDER_CONFIGS,
    *FEATURES,
    *COMMANDS,
    *PSI_OPTIONS,
    *CONFIG_FILES,
    *TRAINED_RUNS,
    *FOLDERS,
    *STUDIES,
]
