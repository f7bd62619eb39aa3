"""Luma samples, against naive indexing of what the decoder holds."""

from __future__ import annotations

import av
import numpy as np
import pytest

from m2s_index.detectors.luma import LumaSampler


def gradient(width, height):
    y, x = np.mgrid[:height, :width]
    return np.stack([(x * 255 // width), (y * 255 // height), ((x + y) % 256)], axis=2).astype(np.uint8)


def sampled(frame, sampler=None):
    sampler = sampler or LumaSampler()
    out = np.zeros(sampler.shape(frame), np.uint8)
    sampler.sample(frame, out)
    return out


@pytest.mark.parametrize("size", [(448, 252), (640, 360), (1920, 1080), (64, 36), (854, 480), (800, 332)])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "gray"])
def test_samples_are_every_nth_pixel_of_the_luma_plane(size, pixels):
    frame = av.VideoFrame.from_ndarray(gradient(*size), format="rgb24").reformat(format=pixels)
    out = sampled(frame)
    rows, columns = out.shape
    assert 1500 <= out.size <= 8000
    assert rows % 4 == columns % 4 == 0
    luma = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)
    step = max(1, round((size[0] * size[1] / 2500) ** 0.5))
    naive = [[luma[step // 2 + r * step, step // 2 + c * step] for c in range(columns)] for r in range(rows)]
    assert np.array_equal(out, naive)
    assert step // 2 + (columns - 1) * step < size[0]
    assert step // 2 + (rows - 1) * step < size[1]


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p10le", "yuv420p12le", "p010le", "gray10le", "gray16le"])
def test_more_bits_are_scaled_to_eight(pixels):
    eight = av.VideoFrame.from_ndarray(gradient(640, 360), format="rgb24").reformat(format="yuv420p")
    grey = pixels.startswith("gray")
    deep = (eight.reformat(format="gray") if grey else eight).reformat(format=pixels)
    expected = sampled(eight.reformat(format="gray") if grey else eight)
    assert np.abs(sampled(deep).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("pixels", ["rgb24", "bgra", "gbrp", "yuyv422", "yuv420p10be"])
def test_formats_without_a_plain_luma_plane_go_through_a_scaler(pixels):
    rgb = av.VideoFrame.from_ndarray(gradient(640, 360), format="rgb24")
    out = sampled(rgb.reformat(format=pixels))
    # The range of grey may be full or limited; the structure is the same.
    expected = sampled(rgb.reformat(format="yuv420p")).astype(float)
    assert np.corrcoef(out.ravel(), expected.ravel())[0, 1] > 0.8


def test_a_frame_of_another_size_gives_the_same_grid():
    sampler = LumaSampler()
    first = av.VideoFrame.from_ndarray(gradient(640, 360), format="rgb24").reformat(format="yuv420p")
    other = av.VideoFrame.from_ndarray(gradient(320, 240), format="rgb24").reformat(format="yuv420p")
    a, b = sampled(first, sampler), sampled(other, sampler)
    assert a.shape == b.shape
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (16, 2)])
def test_tiny_pictures_have_samples_too(size):
    frame = av.VideoFrame.from_ndarray(gradient(*size), format="rgb24")
    assert sampled(frame).size >= 16
