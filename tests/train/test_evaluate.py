"""Measuring a checkpoint."""

import numpy as np

from vepscore.train.evaluate import mean_of_strands

A, C, G, T = range(4)


def predict(codes: np.ndarray) -> np.ndarray:
    """Takes each G before T for a donor of the plus strand, and sees nothing on the other."""
    sites = np.zeros((*codes.shape, 5), np.float32)
    sites[..., 4] = 1
    found = (codes == G) & (np.roll(codes, -1, axis=1) == T)
    sites[found] = [1, 0, 0, 0, 0]
    return sites


def test_the_mean_of_strands_sees_a_site_on_either() -> None:
    codes = np.array([[A, G, T, A, A, A], [A, A, A, A, C, A]], np.uint8)  # AC is GT of the other strand
    plus, minus = mean_of_strands(predict)(codes)
    np.testing.assert_array_equal(plus[1], [0.5, 0, 0, 0, 0.5])
    np.testing.assert_array_equal(minus[4], [0, 0, 0.5, 0, 0.5])
    rest = np.delete(plus, 1, axis=0), np.delete(minus, 4, axis=0)
    assert all((each == [0, 0, 0, 0, 1]).all() for each in rest)
