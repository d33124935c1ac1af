"""From Parquet to batches: declared features, a fitting pass, an encoder, a reader."""

from features.batch import NULL, OUT_OF_VOCABULARY, SPECIAL_ROWS, Batch, as_tf_dataset, batch_signature
from features.columns import check_agreement, check_columns, files_of, rows_of_files, unified_schema
from features.encoder import Encoder
from features.errors import DataError
from features.labels import Columns
from features.layout import layout_of
from features.reader import Reader, read_ahead
from features.sample import draw_sample
from features.schema import Categorical, Cross, Feature, Features, Numeric, Sequence, SequenceCross, Split
from features.settings import Settings, TimeZone, nearest
from features.source import RowGroup, count_rows, open_data, split_data
from features.statistics import Moments, Statistics, fit
from features.values import Ragged, Values, decoded, filtered, values_of_column

__all__ = [
    "NULL",
    "OUT_OF_VOCABULARY",
    "SPECIAL_ROWS",
    "Batch",
    "Categorical",
    "Columns",
    "Cross",
    "DataError",
    "Encoder",
    "Feature",
    "Features",
    "Moments",
    "Numeric",
    "Ragged",
    "Reader",
    "RowGroup",
    "Sequence",
    "SequenceCross",
    "Settings",
    "Split",
    "Statistics",
    "TimeZone",
    "Values",
    "as_tf_dataset",
    "batch_signature",
    "check_agreement",
    "check_columns",
    "count_rows",
    "decoded",
    "draw_sample",
    "files_of",
    "filtered",
    "fit",
    "layout_of",
    "nearest",
    "open_data",
    "read_ahead",
    "rows_of_files",
    "split_data",
    "unified_schema",
    "values_of_column",
]
