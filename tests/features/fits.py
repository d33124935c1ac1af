"""Fits of features, written by hand."""

import numpy as np
import pyarrow as pa

from features import Statistics
from features.fits.edges import Edges
from features.fits.vocabulary import FittedVocabulary


def statistics_of(vocabularies=None, counts=None, moments=None, edges=None):
    """Return statistics with these fits; every value of a vocabulary occurred once unless `counts` says otherwise."""
    values = {table: _values(pa.array(values)) for table, values in (vocabularies or {}).items()}
    times = {table: np.ones(len(array), np.int64) for table, array in values.items()} | (counts or {})
    return Statistics(
        {
            "vocabularies": {table: FittedVocabulary(array, times[table]) for table, array in values.items()},
            "moments": moments or {},
            "edges": {name: Edges(np.array(ends, np.float64)) for name, ends in (edges or {}).items()},
        }
    )


def vocabularies_of(encoder):
    """Return, by table, the values of its vocabulary and their counts in the training data, as lists."""
    vocabularies = encoder.statistics.fits["vocabularies"]
    return {table: (fit.values.to_pylist(), fit.counts.tolist()) for table, fit in vocabularies.items()}


def _values(array):
    """Return a vocabulary's values as an array, texts in the type that encoders use."""
    return array.cast(pa.large_string()) if pa.types.is_string(array.type) else array
