import numpy as np

from interp.plots.bands import interval_band


def test_a_band_goes_along_the_upper_end_and_back_along_the_lower() -> None:
    for x in ([0, 1, 2], np.arange(3)):
        band = interval_band(x, np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]), "#0072b2")
        assert list(band.x) == [0, 1, 2, 2, 1, 0]
        assert list(band.y) == [1, 2, 3, 2, 1, 0]
        assert band.fillcolor == "rgba(0,114,178,0.18)"
        assert not band.showlegend
