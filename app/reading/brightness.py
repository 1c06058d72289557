"""How bright an image is without what is much brighter than all else: dye clumps, hot pixels, one bright nucleus."""

import numpy as np

from app.reading.percentiles import Distribution

# Percentiles: the darkest, the background's spread below it and the background itself; outliers are above the last.
_PERCENTILES = (1.0, 12.5, 25.0, 50.0, 96.5)
_MOST_ORDINARY = _PERCENTILES[-1]
# Percent of the pixels: foreground that sets the range though there may be outliers.
_LEAST_FOREGROUND = 0.5
# Foreground is this many standard deviations above the background, and this part of what all but the outliers span.
_DEVIATIONS = 12.0
_LEAST_PART = 0.05
# From the 12.5th to the 25th percentile of all, which are a quarter and the half of a background of half of the image.
_DEVIATIONS_BELOW = 0.6745
# Nuclei are dark where the median is so many times as far from the darkest as from the brightest.
_DARK_NUCLEI = 2.0
# What is still ordinary, in medians of the foreground above the background.
_MEDIANS = 6.0


def largest_ordinary(distribution: Distribution) -> float:
    """The value beyond which pixels are outliers; infinite where nothing tells.

    It is six times as far above the background as the median of the foreground, which is what is clearly brighter than
    the background. The brightest 3.5 percent of the image do not count, unless they are all the foreground there is.
    Where nuclei are dark, it is half of the range above the range.
    """
    darkest, below, background, median, high = distribution.percentiles(_PERCENTILES)
    if median - darkest > _DARK_NUCLEI * (high - median):
        return float(high + (high - darkest) / 2)
    # Noise that is smaller than a camera's steps is not seen.
    deviation = max((background - below) / _DEVIATIONS_BELOW, distribution.next_to(background) - background)
    threshold = background + max(_DEVIATIONS * deviation, _LEAST_PART * (high - background))
    first = distribution.percent_up_to(threshold)
    if first >= 100:
        return np.inf
    last = _MOST_ORDINARY if first + _LEAST_FOREGROUND < _MOST_ORDINARY else 100
    foreground = distribution.percentiles(((first + last) / 2,))[0]
    return float(background + _MEDIANS * (foreground - background))
