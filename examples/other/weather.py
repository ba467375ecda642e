"""What the weather is like: ``python weather.py PORT``."""

from __future__ import annotations

import sys

from answers import serve

serve(int(sys.argv[1]), lambda: {"sky": "blue"})
