"""Whether file systems can be made by a helper here (FUSE). Standard library only: the watchdog uses it."""

from __future__ import annotations

import os
from ctypes.util import find_library
from importlib.util import find_spec
from typing import Final

from executor.kernel import privilege

_DEVICE: Final = "/dev/fuse"


def unusable() -> str | None:
    """What is lacking, in one sentence with what to do about it; ``None`` if nothing is."""
    if reason := privilege.lacking("mounts that other users' processes see", "CAP_SYS_ADMIN"):
        return reason
    try:
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))  # a container may have it and not be let open it
    except OSError as error:
        return f"{_DEVICE} cannot be opened ({error.strerror}); load the module fuse, or give a container this device."
    if find_spec("mfusepy") is None:
        return "mfusepy is not installed; pip install mfusepy."
    if not any(map(find_library, ("fuse3", "fuse"))):
        return "libfuse is not installed; install fuse3."
    return None
