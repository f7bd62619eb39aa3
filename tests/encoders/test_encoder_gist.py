"""GIST against a naive version, and on frames of every shape."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from m2s_index.encoders.gist import DIMENSION, GistEncoder, amplitudes, even_contrast, grey_square
from m2s_index.encoders.gist_filters import HALF_WIDTH_DEGREES, bank, transfer
from m2s_index.encoders.gist_prior import PRIOR, dead_leaves, prior_sha256, procedural_prior
from m2s_index.errors import EncoderError


def random_frame(height, width, seed=0):
    """A frame with edges at many scales: noise enlarged from 1/16 of its size, and noise."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 200, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    frame = np.repeat(np.repeat(coarse, 16, 0), 16, 1)[:height, :width]
    return frame + generator.integers(0, 56, frame.shape, dtype=np.uint8)


def naive_contrast(grey):
    """Local mean and variance by full-size float64 transforms of a Gaussian that halves at 4 cycles."""
    log = np.log(grey.astype(np.float64) + 16)
    cycles = np.fft.fftfreq(128) * 128
    low = np.exp(-np.log(2) * (cycles[:, None] ** 2 + cycles[None, :] ** 2) / 16)
    detail = log - np.fft.ifft2(np.fft.fft2(log) * low).real
    variance = np.fft.ifft2(np.fft.fft2(detail**2) * low).real
    return detail / (0.2 + np.sqrt(np.maximum(variance, 0)))


def naive_gain(scale, orientation):
    """One filter, frequency by frequency, straight from the definition."""
    gain = np.zeros((128, 128))
    for row in range(128):
        for column in range(128):
            fy, fx = (row - 128 * (row >= 64)) / 128, (column - 128 * (column >= 64)) / 128
            if not 0.125 / 2**scale < np.hypot(fx, fy) < 0.5 / 2**scale:
                continue
            octaves = np.log2(np.hypot(fx, fy) / (0.25 / 2**scale))
            degrees = np.degrees(np.arctan2(fy, fx)) - 22.5 * orientation
            degrees = (degrees + 180) % 360 - 180
            if abs(degrees) < 30:
                gain[row, column] = 2 * (np.cos(np.pi * octaves / 2) * np.cos(np.pi * degrees / 60)) ** 2
    return gain


def naive_amplitudes(frame):
    """Full-size responses of every filter, one at a time; energies averaged cell by cell at the sampled
    pixels."""
    spectrum = np.fft.fft2(naive_contrast(grey_square(frame)))
    out = np.zeros((4, 8, 4, 4))
    for scale in range(4):
        step = (2, 4, 8, 8)[scale]
        for orientation in range(8):
            energy = np.abs(np.fft.ifft2(spectrum * naive_gain(scale, orientation))) ** 2
            for i in range(4):
                for j in range(4):
                    cell = energy[32 * i : 32 * (i + 1), 32 * j : 32 * (j + 1)]
                    out[scale, orientation, i, j] = np.sqrt(cell[::step, ::step].mean())
    return out


def test_amplitudes_are_those_of_the_naive_version():
    """Folded spectra, the cropped Gaussian and float32 change nothing but the last digits."""
    frame = random_frame(240, 320)
    np.testing.assert_allclose(amplitudes(frame), naive_amplitudes(frame), rtol=2e-3, atol=1e-4)


def test_contrast_is_that_of_the_naive_version():
    """Transforming only 16 low frequencies of the variance changes nothing that counts."""
    grey = grey_square(random_frame(128, 128))
    np.testing.assert_allclose(even_contrast(grey), naive_contrast(grey), atol=2e-3)


def test_sampling_the_energy_is_close_to_averaging_all_of_it():
    """The small grids lose less than a hundredth of the direction of the full-size descriptor."""
    frame = random_frame(256, 256, seed=3)
    spectrum = np.fft.fft2(naive_contrast(grey_square(frame)))
    full = np.zeros((4, 8, 4, 4))
    for scale in range(4):
        for orientation in range(8):
            energy = np.abs(np.fft.ifft2(spectrum * transfer(scale, orientation))) ** 2
            full[scale, orientation] = np.sqrt(energy.reshape(4, 32, 4, 32).mean((1, 3)))
    a, b = amplitudes(frame).ravel(), full.ravel()
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99


def test_every_filter_fits_its_grid():
    """No two frequencies of one filter fold onto the same point."""
    for scale, band in enumerate(bank()):
        for orientation in range(8):
            assert np.count_nonzero(band.weight[orientation]) == np.count_nonzero(transfer(scale, orientation))


@pytest.mark.parametrize("orientation", range(8))
def test_a_grating_answers_in_its_own_channel(orientation):
    """A sine grating of a filter's frequency and direction is strongest in that filter."""
    angle, cycles = np.pi * orientation / 8, 16
    y, x = np.mgrid[:128, :128] / 128
    wave = np.sin(2 * np.pi * cycles * (np.cos(angle) * x + np.sin(angle) * y))
    frame = np.repeat((128 + 60 * wave).astype(np.uint8)[..., None], 3, 2)
    channels = amplitudes(frame).mean((2, 3))
    assert np.unravel_index(channels.argmax(), channels.shape) == (1, orientation)
    assert HALF_WIDTH_DEGREES > 22.5  # neighbours overlap: no direction falls between two filters


def test_features_do_not_depend_on_the_batch_or_the_call():
    """The same frame gives the same bits alone, among others and again."""
    encoder = GistEncoder()
    frames = [random_frame(90 + 30 * i, 200, seed=i) for i in range(4)]
    together = encoder.encode_frames(frames)
    assert together.shape == (4, encoder.identity.dimension) == (4, DIMENSION)
    assert together.dtype == np.float32
    assert together.flags.c_contiguous
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(encoder.encode_frames([frame])[0], together[i])
    np.testing.assert_array_equal(GistEncoder().encode_frames(frames[::-1])[::-1], together)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (2, 3), (127, 129), (2160, 3840), (17, 5000)])
def test_frames_of_any_size(shape):
    """One pixel, strips and 4K give finite numbers."""
    features = GistEncoder().encode_frames([random_frame(*shape)])
    assert features.shape == (1, 512)
    assert np.isfinite(features).all()


def test_blank_frames_are_alike_and_unlike_others():
    """Black, white and dark noise come to the same direction: noise is not scaled up to a scene."""
    dark = np.random.default_rng(0).integers(0, 2, (200, 300, 3), dtype=np.uint8)
    blank = [np.full((200, 300, 3), value, np.uint8) for value in (0, 255)]
    rows = GistEncoder().encode_frames([*blank, dark, random_frame(200, 300)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T
    assert cosines[0, 1] > 0.999
    assert cosines[0, 2] > 0.5
    assert cosines[0, 3] < 0.2


def test_size_and_brightness_of_the_copy_matter_little():
    """The same picture at a quarter of the size, or at two thirds of the light, stays close."""
    frame = next(dead_leaves(seed=5, pictures=1))
    small = np.asarray(Image.fromarray(frame).resize((160, 160), Image.Resampling.BOX))
    large = np.asarray(Image.fromarray(frame).resize((1280, 1280), Image.Resampling.BICUBIC))
    dim = (frame * 0.66).astype(np.uint8)
    rows = GistEncoder().encode_frames([frame, small, large, dim])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert (rows @ rows[0] > 0.95).all()


def test_frames_that_are_not_contiguous():
    """A cropped, mirrored view gives what its copy gives."""
    view = random_frame(200, 300)[10:150, 290:20:-1]
    encoder = GistEncoder()
    np.testing.assert_array_equal(encoder.encode_frames([view]), encoder.encode_frames([view.copy()]))


def test_the_shipped_constant_is_the_procedural_one():
    """Generating the dead-leaves pictures again gives the literal, which so comes from no data set."""
    np.testing.assert_allclose(np.asarray(PRIOR), procedural_prior(), atol=2e-4)


def test_the_identity_holds_the_constant():
    """Another constant would be another encoder."""
    identity = GistEncoder().identity
    assert prior_sha256()[:16] in identity.preprocessing
    assert (identity.weights_sha256, identity.metric) == ("", "cosine")
    assert identity == GistEncoder().identity


def test_a_scene_is_the_mean_of_its_frames():
    """And stays float32, not normalised."""
    features = np.asarray([[1, 2], [3, 6]], np.float32)
    np.testing.assert_array_equal(GistEncoder().encode_scene(features), np.asarray([2, 4], np.float32))
    with pytest.raises(EncoderError, match=r"\[0, 2\]"):
        GistEncoder().encode_scene(features[:0])


@pytest.mark.parametrize(
    "frame",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8), None],
)
def test_what_is_no_frame_is_refused(frame):
    """The message shows what came and what was expected."""
    with pytest.raises(EncoderError, match=r"expected (a )?uint8"):
        GistEncoder().encode_frames([frame])


def test_gist_needs_no_torch():
    """Making and running it in a fresh process loads no network library."""
    code = (
        "import sys, numpy as np\n"
        "from m2s_index.encoders.registry import make_encoder, list_encoders\n"
        "make_encoder('gist').encode_frames([np.zeros((9, 9, 3), np.uint8)]); list_encoders()\n"
        "print([m for m in ('torch', 'timm', 'torchvision', 'faiss', 'av') if m in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
