"""Feeds the decoders changed files for some minutes, and fails where one brings anything but an image or a refusal.

`python -m benchmarks.fuzz --minutes 30` writes what happened into `docs/robustness.md`.
"""

import argparse
import logging
import os
import random
import sys
import time
from collections import Counter

from app.errors import KaryometerError
from app.reading.decode import claimed_pixels, decode_mask, decode_pages
from app.reading.isolation import DecodeProcesses
from benchmarks.hostile_files import SEED, flipped, sound_files
from benchmarks.report import fill, table
from training.arguments import command_line

MAX_PIXELS = 2_000_000
MAX_DECODE_BYTES = 4 * 2**30
MAX_DECODE_S = 10


def mutated(data: bytes, others: list[bytes], generator: random.Random) -> bytes:
    """Bits flipped, a piece cut out, doubled, or taken from another file; up to three of these."""
    for _ in range(generator.randint(1, 3)):
        start, end = sorted(generator.randrange(len(data) + 1) for _ in range(2))
        other = generator.choice(others)
        match generator.randrange(4):
            case 0:
                data = flipped(data, generator)
            case 1:
                data = data[:start] + data[end:]
            case 2:
                data = data[:end] + data[start:]
            case _:
                data = data[:start] + other[start:end] + data[end:]
        # Nothing is left to change.
        if len(data) < 2:
            break
    return data


def outcome(decoders: DecodeProcesses, data: bytes) -> str:
    """What reading it as an image and as a mask brought; whatever is not expected is raised."""
    claimed_pixels(data, None, MAX_PIXELS)
    for function, arguments in ((decode_mask, ()), (decode_pages, (None, None))):
        try:
            decoders.call(function, data, MAX_PIXELS, *arguments)
            told = "read"
        except KaryometerError as exc:
            told = type(exc).__name__
    return told


def main() -> int:
    """Fuzz, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, metavar="N", help="%(default)s")
    parser.add_argument("--seed", type=int, default=SEED, help="%(default)s")
    options = parser.parse_args()
    # It mutters about damage.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    generator = random.Random(options.seed)  # noqa: S311
    sound = sound_files()
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in sound}
    decoders = DecodeProcesses(1, MAX_DECODE_BYTES, MAX_DECODE_S)
    try:
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end:
            kind = generator.choice(list(sound))
            data = mutated(sound[kind], list(sound.values()), generator)
            outcomes[kind][outcome(decoders, data)] += 1
    finally:
        decoders.close()
    rows = [
        [kind, told.total(), ", ".join(f"{name}: {n}" for name, n in told.most_common())]
        for kind, told in outcomes.items()
    ]
    n_files = sum(told.total() for told in outcomes.values())
    command = command_line("benchmarks.fuzz", sys.argv[1:])
    report = (
        f"Made by `{command}` on {os.cpu_count()} cores: of {n_files} changed files, each read as an image and as a "
        "mask, none brought anything but an image or a refusal.\n\n"
        f"{table(['file that was changed', 'number', 'outcomes as an image'], rows)}"
    )
    fill("fuzz", report)
    sys.stdout.write(f"{report}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
