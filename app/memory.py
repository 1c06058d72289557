"""What the C library does with memory that is freed."""

import ctypes
import gc

# As in glibc's malloc.h; other C libraries have no mallopt.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
KEPT_BYTES = 128 * 2**20
LARGEST_KEPT_BYTES = 32 * 2**20


def give_back_freed_memory() -> None:
    """Free what only cycles hold, and give all that is free back to the system, where the C library can be told to."""
    gc.collect()
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim:
        malloc_trim(0)


def keep_freed_memory() -> None:
    """Keep some of it for the next image, where the C library can be told to.

    Every image needs arrays of the same few megabytes. Where they are given back to the system in between, each of
    their pages costs a fault, which together were a tenth of the time for splitting and measuring. All threads take it
    from one place: what each would keep of its own is more, and does not all come back when it is asked for.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_ARENA_MAX, 1)
