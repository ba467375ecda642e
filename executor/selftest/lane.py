"""One lane of a self-test: a scene, and one case after another on it. ``python -m executor.selftest.lane DIRECTORY``.

It says first what it cannot do, then reads cases from standard input, one JSON object a line, and answers each with
one line. It ends with its standard input, and its scene with it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from executor.selftest import troubles
from executor.selftest.cases import Case
from executor.selftest.ordeal import Ordeal
from executor.selftest.scene import Scene


def main() -> None:
    """Serve cases until standard input ends."""
    directory = Path(sys.argv[1])
    trials = directory / "trials"
    trials.mkdir()
    left_out = troubles.impossible(trials, troubles.own_mounts())
    scene = Scene(directory)
    if scene.by_kernel is not None:
        left_out["kernel lease"] = scene.by_kernel
    _say(left_out)
    try:
        for line in sys.stdin:
            case = Case(**json.loads(line))
            place = directory / "cases" / str(case.number)
            place.mkdir(parents=True)
            result = Ordeal(scene, place, case).run()
            if result.residues:  # what is left would be seen by the next case
                scene.close()
                scene = Scene(directory)
            else:
                shutil.rmtree(place)
            _say({**vars(result), "case": case.plain()})
    finally:
        scene.close()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
