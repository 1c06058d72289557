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


# What is held before, after a large image, and after the memory was released.
REST = """
import resource, sys
from pathlib import Path
import numpy as np
from app.memory import give_back_freed_memory, keep_freed_memory
from app.inference.model_card import read_model_card
from app.inference.litert import QuantisedPredictor
from app.settings import DEFAULT_MODEL

def held_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20

keep_freed_memory()
contract = read_model_card(DEFAULT_MODEL).contract
predictor = QuantisedPredictor(DEFAULT_MODEL / contract.quantised_name, contract)
image = np.random.default_rng(0).random((1024, 1024, 3), np.float32)
before = held_mib()
first = predictor.predict(image)
large = held_mib()
predictor.release_memory()
give_back_freed_memory()
rested = held_mib()
assert np.array_equal(predictor.predict(image).probability, first.probability)
sys.stdout.write(f"{before} {large} {rested}")
"""


def answer(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_memory_that_was_freed_is_there_again_without_faults() -> None:
    assert int(answer(COUNT_FAULTS, "keep")) * 10 < int(answer(COUNT_FAULTS, "let go"))


def test_a_rest_gives_back_what_a_large_image_needed_and_changes_no_answer() -> None:
    before, large, rested = map(int, answer(REST).split())
    assert large > before + 200
    assert rested < before + 50
