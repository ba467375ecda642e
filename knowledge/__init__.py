"""Floor 1: what is known of systems: topology, past results, beliefs. Injects nothing."""

import os

# The vector store brings onnxruntime along, which would call a telemetry host; it must be told before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
