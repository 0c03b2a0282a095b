"""Small PNG pictures with the standard library: what a reader sees before, or without, JavaScript."""

import struct
import zlib

import numpy as np
from jaxtyping import Bool, Float, UInt8

Picture = UInt8[np.ndarray, "_ _ 3"]
_WHITE = 255
_NOT_RUN = np.array([176, 176, 176], dtype=np.uint8)


def encode_png(picture: Picture) -> bytes:
    """Write red, green and blue bytes as a PNG file."""
    height, width, _ = picture.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, width * 3)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def colour_cells(
    values: Float[np.ndarray, "row column"], scale: list[str], low: float, high: float, pixels: int = 10
) -> Picture:
    """Draw a heatmap: each cell a square, colours between the scale's; cells that are NaN are grey (not run)."""
    stops = np.array([_rgb(colour) for colour in scale], dtype=float)
    place = np.clip((np.nan_to_num(values) - low) / (high - low or 1.0), 0, 1) * (len(stops) - 1)
    channels = [np.interp(place, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    picture = np.stack(channels, axis=-1).round().astype(np.uint8)
    picture[np.isnan(values)] = _NOT_RUN
    return picture.repeat(pixels, axis=0).repeat(pixels, axis=1)


def strike(picture: Picture, where: Bool[np.ndarray, "row column"]) -> Picture:
    """Draw a grey stroke through cells of `colour_cells`: those have no computed value."""
    rows, columns = where.shape
    pixels = picture.shape[0] // rows
    struck = picture.copy().reshape(rows, pixels, columns, pixels, 3)
    for place in range(pixels):
        struck[:, place, :, pixels - 1 - place][where] = _NOT_RUN
    return struck.reshape(picture.shape)


def beside(pictures: list[Picture], gap: int = 16) -> Picture:
    """Place pictures in a row, top-aligned on white."""
    height = max(picture.shape[0] for picture in pictures)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, gap), (0, 0)), constant_values=_WHITE) for p in pictures]
    return np.concatenate(padded, axis=1)[:, :-gap]


def above(pictures: list[Picture], gap: int = 16) -> Picture:
    """Place pictures in a column, left-aligned on white."""
    return beside([picture.transpose(1, 0, 2) for picture in pictures], gap).transpose(1, 0, 2)


def draw_curves(
    curves: list[tuple[Float[np.ndarray, " point"], str]], low: float, high: float, size: tuple[int, int] = (480, 220)
) -> Picture:
    """Draw curves over a white ground, `low` at the bottom and `high` at the top; each comes with its colour."""
    width, height = size
    picture = np.full((height, width, 3), _WHITE, dtype=np.uint8)
    for values, colour in curves:
        x = np.linspace(0, len(values) - 1, width)
        y = np.interp(x, np.arange(len(values)), values)
        rows = ((high - y) / (high - low or 1.0) * (height - 3)).round().astype(int).clip(0, height - 3)
        for column, (start, end) in enumerate(zip(rows, np.roll(rows, -1), strict=True)):
            stop = start if column == width - 1 else end
            picture[min(start, stop) : max(start, stop) + 3, column] = _rgb(colour)
    return picture


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue
