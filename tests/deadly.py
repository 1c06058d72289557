"""Functions that kill their process; it imports this module to call them, and nothing that takes long."""

import os
import signal
from pathlib import Path


def die_once(flag: Path) -> str:
    """Kill the process, unless a process was killed before."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die() -> None:
    """Kill the process."""
    os.kill(os.getpid(), signal.SIGKILL)
