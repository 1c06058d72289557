import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from app.segmentation.percentiles import percentiles

KINDS = st.sampled_from([np.uint8, np.uint16, np.int16, np.int32])


@given(KINDS.flatmap(lambda kind: arrays(kind, array_shapes(max_dims=3))), st.floats(0, 100))
def test_percentiles_are_those_of_numpy(image: np.ndarray, wanted: float) -> None:
    expected = np.percentile(image.astype(np.float64), (wanted, 99.8))
    np.testing.assert_allclose(percentiles(image, (wanted, 99.8)), expected, rtol=1e-9, atol=1e-9)
