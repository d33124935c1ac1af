"""Write golden trajectories in `tests/golden/models` that are missing or that training no longer follows.

    python -m scripts.write_golden [NAME ...]

NAME is a pairing of tests/ctr/pairings.py; by default, all are trained. A file that training follows within the
tolerance is not rewritten, so a change shows only in the files that it alters.
"""

import argparse
import json
import tempfile
from pathlib import Path

from tests.conftest import write_clicks, write_config
from tests.ctr.pairings import golden_pairings
from tests.ctr.trajectory import as_json, differences, path_of, prepare_clicks, train

if __name__ == "__main__":
    pairings = golden_pairings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="pairings to train; default: all")
    names = parser.parse_args().names or list(pairings)
    if unknown := [name for name in names if name not in pairings]:
        parser.error(f"unknown pairing {unknown[0]!r}; known: {', '.join(pairings)}")
    with tempfile.TemporaryDirectory() as folder:
        clicks = prepare_clicks(write_config(Path(folder) / "tiny.yaml", write_clicks(Path(folder) / "clicks")))
        for name in names:
            path, trajectory = path_of(name), train(pairings[name], clicks)
            if path.exists() and not differences(trajectory, json.loads(path.read_text())):
                print(f"{path}: unchanged")
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(as_json(trajectory))
            print(f"{path}: written")
