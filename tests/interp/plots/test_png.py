import struct
import zlib

import numpy as np

from interp.plots.png import above, beside, colour_cells, draw_curves, encode_png
from interp.plots.theme import DIVERGING


def _pixels(png: bytes) -> np.ndarray:
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT") + 4
    size = struct.unpack(">I", png[start - 8 : start - 4])[0]
    rows = np.frombuffer(zlib.decompress(png[start : start + size]), np.uint8).reshape(height, 1 + width * 3)
    return rows[:, 1:].reshape(height, width, 3)


def test_a_picture_reads_back() -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    png = encode_png(picture)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert (_pixels(png) == picture).all()


def test_positive_is_blue_negative_red_zero_white_and_not_run_grey() -> None:
    cells = colour_cells(np.array([[1.0, -1.0, 0.0, np.nan]]), DIVERGING["RdBu"], -1.0, 1.0, pixels=1)[0]
    assert cells[0].tolist() == [0x05, 0x30, 0x61]
    assert cells[1].tolist() == [0x67, 0x00, 0x1F]
    assert cells[2].tolist() == [255, 255, 255]
    assert cells[3].tolist() == [0xB0, 0xB0, 0xB0]


def test_pictures_are_joined_without_loss() -> None:
    black, white = np.zeros((2, 3, 3), np.uint8), np.full((4, 1, 3), 255, np.uint8)
    assert beside([black, white], gap=2).shape == (4, 6, 3)
    assert above([black, white], gap=2).shape == (8, 3, 3)
    assert (above([black, white], gap=2)[:2, :3] == 0).all()


def test_a_higher_curve_stands_higher() -> None:
    picture = draw_curves([(np.array([0.9, 0.9]), "#000000"), (np.array([0.1, 0.1]), "#ff0000")], 0.0, 1.0)
    rows = [np.nonzero((picture == colour).all(-1).any(1))[0].mean() for colour in ([0, 0, 0], [255, 0, 0])]
    assert rows[0] < rows[1]
