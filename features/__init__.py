"""From Parquet to batches: declared features, a fitting pass, an encoder, a reader."""

from features.batch import Batch, as_tf_dataset, batch_signature
from features.columns import check_agreement, check_columns, files_of, unified_schema
from features.encoder import Encoder
from features.errors import DataError
from features.labels import Columns
from features.layout import layout_of
from features.reader import Reader, read_ahead
from features.sample import draw_sample
from features.schema import Categorical, Cross, Feature, Features, Numeric, Sequence, SequenceCross, Split
from features.settings import Settings, nearest
from features.source import RowGroup, count_rows, open_data, split_data
from features.statistics import Moments, Statistics, fit
from features.values import Ragged, Values, decoded

__all__ = [
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
    "Values",
    "as_tf_dataset",
    "batch_signature",
    "check_agreement",
    "check_columns",
    "count_rows",
    "decoded",
    "draw_sample",
    "files_of",
    "fit",
    "layout_of",
    "nearest",
    "open_data",
    "read_ahead",
    "split_data",
    "unified_schema",
]
