"""Features: declared columns of Parquet data, fitted on the training data, encoded and read as batches.

>>> import tempfile
>>> import pyarrow as pa, pyarrow.parquet as pq
>>> folder = tempfile.TemporaryDirectory()
>>> clicks = pa.table({"user": ["a", "b", "a", "c"], "clicked": [1, 0, 0, 1]})
>>> pq.write_table(clicks, f"{folder.name}/clicks.parquet")
>>> row_groups = open_data(folder.name)
>>> features = Features(columns={"user": {"type": "categorical", "dim": 4}})
>>> encoder = fit_encoder(features, Columns(label="clicked"), row_groups, seed=0)
>>> encoder.table_size("user")  # three special rows and three users
6
>>> [batch["ids"].shape for batch in Reader(row_groups, encoder, batch_size=3, seed=0).epoch(0)]
[(3, 1), (1, 1)]
>>> folder.cleanup()
"""

from features.ahead import read_ahead
from features.bad_rows import BadRows, leave_out_bad_rows
from features.batch import NULL, OUT_OF_VOCABULARY, PADDING, SPECIAL_ROWS, Batch, table_rows, take
from features.casts import Cast, cast_advice, cast_column, common_cast
from features.columns import check_agreement, check_columns, check_known, files_of, rows_of_files, unified_schema
from features.dataset import as_tf_dataset, batch_signature
from features.decoding import decode_ids, decoded_batch, describe_row
from features.encoder import Encoder
from features.errors import DataError
from features.file_order import FileOrderReader
from features.fit_encoder import fit_encoder
from features.fits.fit import Fit, Fitting
from features.frames import is_table, open_table
from features.kinds import KINDS
from features.kinds.feature import ColumnFeature, Feature
from features.labels import OTHER_LABELS, Columns
from features.negatives import NegativeSample
from features.numbers import as_floats
from features.paths import list_files
from features.ragged import Ragged, list_lengths
from features.reader import Reader
from features.row_groups import DataFile, RowGroup, count_rows
from features.sample import SAMPLE_ROWS, draw_sample
from features.schema import Features
from features.settings import ONE_AS_LIST, Count, Names, Settings, TimeZone, nearest, plain
from features.source import columns_of_first_file, open_data
from features.splits import GAP, Split, split_data
from features.statistics import Statistics, fit
from features.tables import map_tables, read_tables
from features.times import as_microseconds, date_texts, wall_clock
from features.types import innermost, is_bytes, is_list, is_number, is_text, is_uuid, type_name
from features.values import Values, decoded, filtered, values_of_column

__all__ = [
    "GAP",
    "KINDS",
    "NULL",
    "ONE_AS_LIST",
    "OTHER_LABELS",
    "OUT_OF_VOCABULARY",
    "PADDING",
    "SAMPLE_ROWS",
    "SPECIAL_ROWS",
    "BadRows",
    "Batch",
    "Cast",
    "ColumnFeature",
    "Columns",
    "Count",
    "DataError",
    "DataFile",
    "Encoder",
    "Feature",
    "Features",
    "FileOrderReader",
    "Fit",
    "Fitting",
    "Names",
    "NegativeSample",
    "Ragged",
    "Reader",
    "RowGroup",
    "Settings",
    "Split",
    "Statistics",
    "TimeZone",
    "Values",
    "as_floats",
    "as_microseconds",
    "as_tf_dataset",
    "batch_signature",
    "cast_advice",
    "cast_column",
    "check_agreement",
    "check_columns",
    "check_known",
    "columns_of_first_file",
    "common_cast",
    "count_rows",
    "date_texts",
    "decode_ids",
    "decoded",
    "decoded_batch",
    "describe_row",
    "draw_sample",
    "files_of",
    "filtered",
    "fit",
    "fit_encoder",
    "innermost",
    "is_bytes",
    "is_list",
    "is_number",
    "is_table",
    "is_text",
    "is_uuid",
    "leave_out_bad_rows",
    "list_files",
    "list_lengths",
    "map_tables",
    "nearest",
    "open_data",
    "open_table",
    "plain",
    "read_ahead",
    "read_tables",
    "rows_of_files",
    "split_data",
    "table_rows",
    "take",
    "type_name",
    "unified_schema",
    "values_of_column",
    "wall_clock",
]
