import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from app.reading.percentiles import Distribution, percentiles

KINDS = st.sampled_from([np.uint8, np.uint16, np.int16, np.int32, np.float32])


IMAGES = KINDS.flatmap(
    lambda kind: arrays(
        kind, array_shapes(max_dims=3), elements=st.floats(-1e9, 1e9, width=32) if kind is np.float32 else None
    )
)


@given(IMAGES, st.floats(0, 100))
def test_percentiles_are_those_of_numpy(image: np.ndarray, wanted: float) -> None:
    expected = np.percentile(image.astype(np.float64), (wanted, 99.8))
    np.testing.assert_allclose(percentiles(image, (wanted, 99.8)), expected, rtol=1e-9, atol=1e-9)


@given(IMAGES, st.data())
def test_a_distribution_knows_parts_and_goes_without_some_pixels(image: np.ndarray, data: st.DataObject) -> None:
    values = np.sort(image, axis=None)
    value = data.draw(st.sampled_from(values.tolist()))
    distribution = Distribution.of(image)
    assert distribution.percent_up_to(value) == 100 * np.count_nonzero(image <= value) / image.size
    assert distribution.next_to(value) == (image[image > value].min() if (image > value).any() else value)
    n = data.draw(st.integers(0, int(np.count_nonzero(image == value))))
    if n < values.size:
        first = int(np.searchsorted(values, value))
        rest, expected = distribution.without(value, n), np.delete(values, slice(first, first + n))
        assert (rest.lowest, rest.highest, rest.n_values) == (expected[0], expected[-1], expected.size)
        np.testing.assert_array_equal(rest.percentiles((10, 50)), Distribution.of(expected).percentiles((10, 50)))
