"""Copy Parquet files with the integer columns C1, C2, ... as strings of eight hexadecimal digits, as in Criteo's data.

python scripts/make_hex_ids.py IN_DIR OUT_DIR
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 65_536


def as_hex(ids: pa.ChunkedArray) -> pa.Array:
    """Return each integer's text; distinct integers have distinct texts."""
    scattered = (ids.to_numpy().astype(np.uint64) * np.uint64(2654435761)) % np.uint64(2**32)  # odd: a bijection
    digits = np.char.mod("%08x", np.unique(scattered))
    return pa.DictionaryArray.from_arrays(
        pa.array(np.searchsorted(np.unique(scattered), scattered), pa.int32()), pa.array(digits)
    ).dictionary_decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    for path in sorted(args.source.glob("*.parquet")):
        table = pq.read_table(path)
        for place, name in enumerate(table.column_names):
            if name.startswith("C"):
                table = table.set_column(place, name, as_hex(table[name]))
        pq.write_table(table, args.target / path.name, compression="zstd", row_group_size=ROW_GROUP)


if __name__ == "__main__":
    main()
