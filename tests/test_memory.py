import subprocess
import sys

COUNT_FAULTS = """
import resource, sys
import numpy as np
from app.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    # Together they are more than the C library keeps of itself.
    images = [np.ones(2**22, np.uint8) for _ in range(4)]
    del images
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
sys.stdout.write(str(sum(faults() for _ in range(5))))
"""


def n_faults(mode: str) -> int:
    answer = subprocess.run([sys.executable, "-c", COUNT_FAULTS, mode], capture_output=True, text=True, check=True)
    return int(answer.stdout)


def test_memory_that_was_freed_is_there_again_without_faults() -> None:
    assert n_faults("keep") * 10 < n_faults("let go")
