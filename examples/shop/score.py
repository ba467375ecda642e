"""Holds what Murphy found in the shop against what is truly there: ``murphy findings --json | python score.py``.

Exits with 1 if a place that holds was called weak, or fewer weaknesses were found than ``--least``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--least", type=int, default=0, help="weaknesses that must have been found")
    least = parser.parse_args().least
    known = yaml.safe_load((HERE / "weaknesses.yaml").read_text(encoding="utf-8"))
    weak = {(entry["weakness"], entry["place"]) for entry in known["weak"]}
    found = {(finding["weakness"], finding["place"]) for finding in json.load(sys.stdin)}
    false = sorted(found - weak)
    classes = {weakness for weakness, _ in weak}
    seen = {weakness for weakness, _ in found & weak}
    print(f"Found {len(found & weak)} of {len(weak)} weaknesses, of {len(seen)} of {len(classes)} classes.")
    for weakness, place in false:
        print(f"False: {weakness} at {place} is not there.")
    for weakness, place in sorted(weak - found):
        print(f"Not found: {weakness} at {place}")
    return 1 if false or len(found & weak) < least else 0


if __name__ == "__main__":
    sys.exit(main())
