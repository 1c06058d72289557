"""How many processor cores this process may use."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup/cpu.max")


def available_cores(cgroup: Path = _CGROUP) -> int:
    """The cores that the scheduler gives this process, and its container's share of them; at least 1.

    Parameters
    ----------
    cgroup
        A file with the quota and the period of the processor time, as cgroup v2 has it.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = cgroup.read_text(encoding="ascii").split()
        return max(1, min(n_cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        # There is no such file, or it says `max`.
        return n_cores
