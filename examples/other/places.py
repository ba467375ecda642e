"""Where the reader is: ``python places.py PORT``."""

from __future__ import annotations

import sys

from answers import serve

serve(int(sys.argv[1]), lambda: {"place": "Gdansk"})
