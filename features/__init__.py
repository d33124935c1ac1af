"""From Parquet to batches: declared features, a fitting pass, an encoder, a reader."""

from features.ahead import read_ahead
from features.bad_rows import BadRows, leave_out_bad_rows
from features.batch import NULL, OUT_OF_VOCABULARY, PADDING, SPECIAL_ROWS, Batch, take
from features.casts import Cast, cast_column, cast_hint
from features.columns import check_agreement, check_columns, check_known, files_of, rows_of_files, unified_schema
from features.dataset import as_tf_dataset, batch_signature
from features.encoder import Encoder
from features.errors import DataError
from features.fit_encoder import fit_encoder
from features.labels import Columns
from features.layout import layout_of
from features.numbers import as_floats
from features.originals import columns_of, decode_ids, decoded_batch, describe_row, id_features
from features.ragged import Ragged, list_lengths
from features.reader import Reader
from features.row_groups import DataFile, RowGroup, count_rows
from features.sample import SAMPLE_ROWS, draw_sample
from features.schema import Categorical, Cross, Feature, Features, Numeric, Sequence, SequenceCross, Split
from features.settings import Count, Settings, TimeZone, nearest
from features.source import open_data
from features.splits import split_data
from features.statistics import Moments, Statistics, fit
from features.tables import map_tables, read_tables
from features.times import as_microseconds, date_texts, wall_clock
from features.types import innermost, is_bytes, is_number, is_text, is_uuid, type_name
from features.values import Values, decoded, filtered, values_of_column

__all__ = [
    "NULL",
    "OUT_OF_VOCABULARY",
    "PADDING",
    "SAMPLE_ROWS",
    "SPECIAL_ROWS",
    "BadRows",
    "Batch",
    "Cast",
    "Categorical",
    "Columns",
    "Count",
    "Cross",
    "DataError",
    "DataFile",
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
    "as_floats",
    "as_microseconds",
    "as_tf_dataset",
    "batch_signature",
    "cast_column",
    "cast_hint",
    "check_agreement",
    "check_columns",
    "check_known",
    "columns_of",
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
    "id_features",
    "innermost",
    "is_bytes",
    "is_number",
    "is_text",
    "is_uuid",
    "layout_of",
    "leave_out_bad_rows",
    "list_lengths",
    "map_tables",
    "nearest",
    "open_data",
    "read_ahead",
    "read_tables",
    "rows_of_files",
    "split_data",
    "take",
    "type_name",
    "unified_schema",
    "values_of_column",
    "wall_clock",
]
