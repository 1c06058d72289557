"""What the machine can do at most: multiply-adds of matrices and of convolutions."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

SIDE = 2048
# A level of a U-Net: 128 x 128 px, 64 channels to 64.
CONVOLUTION_PX, CHANNELS, KERNEL_PX = 128, 64, 3


def peaks_gflops(seconds: float) -> dict[str, float]:
    """Most that was seen in so many seconds each, an addition and a multiplication counting as two, float32."""
    matrix = np.ones((SIDE, SIDE), np.float32)
    image = tf.ones((1, CONVOLUTION_PX, CONVOLUTION_PX, CHANNELS))
    kernel = tf.ones((KERNEL_PX, KERNEL_PX, CHANNELS, CHANNELS))
    convolve = tf.function(lambda: tf.nn.conv2d(image, kernel, 1, "SAME"))
    n_of_convolution = 2 * CONVOLUTION_PX**2 * KERNEL_PX**2 * CHANNELS**2
    return {
        "sgemm": 2 * SIDE**3 / _fastest_s(lambda: matrix @ matrix, seconds) / 1e9,
        "convolution": n_of_convolution / _fastest_s(convolve, seconds) / 1e9,
    }


def _fastest_s(call: Callable[[], Any], seconds: float) -> float:
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
