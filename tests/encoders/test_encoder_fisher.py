"""The encoder ``fisher``: its mathematics against naive versions, its frames, its weights and their record."""

import json
import subprocess
import sys

import numpy as np
import pytest

from m2s_index.encoders.fisher import WEIGHTS, fisher_vector, load_fisher, mirror_mean
from m2s_index.encoders.fisher_vector import PLACE, Vocabulary
from m2s_index.encoders.gist import descriptor
from m2s_index.encoders.gradients import GRIDS, SIDE_PX, gradients_of, local_descriptors, mirrored
from m2s_index.encoders.registry import list_encoders, make_encoder
from m2s_index.encoders.weights import sha256
from m2s_index.errors import UsageError, WeightsError
from m2s_index.procedural.sights import sights


@pytest.fixture(scope="module")
def pictures():
    return list(sights(seed=3, pictures=7))


def grey(picture):
    return picture[:SIDE_PX, :SIDE_PX, 0]


def naive_cell(picture, cell_px, row, column):
    """One cell's histogram, pixel by pixel in double precision."""
    light = np.log(picture.astype(np.float64) + 16)
    found = np.zeros(8)
    for y in range(row * cell_px, (row + 1) * cell_px):
        for x in range(column * cell_px, (column + 1) * cell_px):
            across = light[y, x + 1] - light[y, x - 1] if 0 < x < SIDE_PX - 1 else 0
            down = light[y + 1, x] - light[y - 1, x] if 0 < y < SIDE_PX - 1 else 0
            turn = np.arctan2(down, across) / (2 * np.pi) * 8 % 8
            for direction in range(8):
                apart = abs((turn - direction + 4) % 8 - 4)
                found[direction] += max(0, 1 - apart) * np.hypot(across, down) / cell_px**2
    return found


def random_vocabulary(gaussians=3, axes=5, seed=0):
    generator = np.random.default_rng(seed)
    weights = generator.random(gaussians) + 0.2
    return Vocabulary(
        generator.standard_normal((128, axes)).astype(np.float32),
        generator.standard_normal(axes).astype(np.float32),
        (weights / weights.sum()).astype(np.float32),
        generator.standard_normal((gaussians, axes + 2)).astype(np.float32),
        (0.3 + generator.random((gaussians, axes + 2))).astype(np.float32),
    )


def naive_log_likelihood(weights, means, deviations, points):
    """Of a mixture with diagonal covariances, point by point and Gaussian by Gaussian."""
    total = 0.0
    for point in points:
        density = 0.0
        for weight, mean, deviation in zip(weights, means, deviations, strict=True):
            exponent = -0.5 * (((point - mean) / deviation) ** 2).sum()
            density += weight * np.exp(exponent) / np.prod(deviation * np.sqrt(2 * np.pi))
        total += np.log(density)
    return total / len(points)


@pytest.mark.parametrize("cell_px", [cell_px for cell_px, _ in GRIDS])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 7), (-1, 2)])
def test_histograms_are_those_of_the_naive_version(pictures, cell_px, row, column):
    """At corners, at the edge and inside."""
    found = gradients_of(grey(pictures[0])).histograms(cell_px)
    cells = SIDE_PX // cell_px
    assert found.shape == (cells, cells, 8)
    expected = naive_cell(grey(pictures[0]), cell_px, row % cells, column)
    np.testing.assert_allclose(found[row, column], expected, rtol=1e-3, atol=1e-5)


def test_windows_hold_four_by_four_cells_of_the_first_grid(pictures):
    """The second window of the second row: its cells, normalised and square-rooted, and its place."""
    found = local_descriptors(grey(pictures[1]))
    cell_px, step = GRIDS[0]
    cells = SIDE_PX // cell_px
    across = len(range(0, cells - 3, step))
    window = gradients_of(grey(pictures[1])).histograms(cell_px)[step : step + 4, step : step + 4]
    expected = np.sqrt(window / (np.sqrt((window**2).sum()) + 0.15)).transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(found.numbers[across + 1], expected, rtol=1e-5)
    np.testing.assert_allclose(found.places[across + 1], [(step + 2) / cells - 0.5] * 2, rtol=1e-6)
    assert len(found.numbers) == len(found.places) == sum(len(range(0, SIDE_PX // c - 3, s)) ** 2 for c, s in GRIDS)
    assert found.numbers.min() >= 0
    assert found.numbers.max() <= 1


def test_mirrored_axes_describe_the_mirror_image(pictures):
    """Window by window, what mirrored axes give of a picture is what the axes give of its mirror image."""
    axes = np.random.default_rng(0).standard_normal((128, 6)).astype(np.float32)
    picture = grey(pictures[0])
    here, there = local_descriptors(picture), local_descriptors(np.ascontiguousarray(picture[:, ::-1]))
    # Grids follow one another; inside one, a window's mirror image is in the same row from the other end.
    start = 0
    for cell_px, step in GRIDS:
        count = len(range(0, SIDE_PX // cell_px - 3, step))
        part = slice(start, start + count * count)
        ours = (here.numbers[part] @ mirrored(axes)).reshape(count, count, 6)
        theirs = (there.numbers[part] @ axes).reshape(count, count, 6)
        np.testing.assert_allclose(ours[:, ::-1], theirs, atol=1e-4)
        start += count * count
    assert start == len(here.numbers)


def test_gradients_are_the_numerical_ones():
    """By differences of the log-likelihood, times the root of the inverse of Fisher's information."""
    words = random_vocabulary()
    points = np.random.default_rng(1).standard_normal((40, 7)).astype(np.float32)
    by_mean, by_deviation = words.gradients(points)
    weights, means = words.weights.astype(np.float64), words.means.astype(np.float64)
    deviations = np.sqrt(words.variances.astype(np.float64))
    for k in range(len(weights)):
        for d in range(means.shape[1]):
            slopes = []
            for values in (means, deviations):
                at = values[k, d]
                ends = []
                for step in (1e-5, -1e-5):
                    values[k, d] = at + step
                    ends.append(naive_log_likelihood(weights, means, deviations, points))
                values[k, d] = at
                slopes.append((ends[0] - ends[1]) / 2e-5)
            scale = deviations[k, d] / np.sqrt(weights[k])
            assert by_mean[k, d] == pytest.approx(slopes[0] * scale, abs=1e-4)
            assert by_deviation[k, d] == pytest.approx(slopes[1] * scale / np.sqrt(2), abs=1e-4)


def test_posteriors_are_those_of_scikit_learn():
    """Of a mixture with the same parameters."""
    mixture = pytest.importorskip("sklearn.mixture")
    words = random_vocabulary()
    other = mixture.GaussianMixture(3, covariance_type="diag")
    other.weights_, other.means_, other.covariances_ = words.weights, words.means, words.variances
    other.precisions_cholesky_ = 1 / np.sqrt(words.variances)
    points = np.random.default_rng(1).standard_normal((50, 7)).astype(np.float32)
    np.testing.assert_allclose(words.posteriors(points), other.predict_proba(points), atol=1e-5)


def test_points_are_the_picture_and_its_mirror_image(pictures):
    """Projected, less the mean, with places weighed; the second half's go from right to left."""
    words, found = random_vocabulary(), local_descriptors(grey(pictures[2]))
    points, count = words.points(found), len(found.numbers)
    np.testing.assert_allclose(points[:count, :5], found.numbers @ words.axes - words.origin, atol=1e-4)
    np.testing.assert_allclose(points[:count, 5:], PLACE * found.places, atol=1e-6)
    np.testing.assert_allclose(points[count:, 5:], PLACE * found.places * [-1, 1], atol=1e-6)


def test_a_picture_and_its_mirror_image_are_one(pictures):
    """The first part is the same to rounding; GIST samples its cells from one side, and is nearly so."""
    for picture in pictures:
        mirror = np.ascontiguousarray(picture[:, ::-1])
        a, b = (fisher_vector(random_vocabulary(), p) for p in (picture, mirror))
        np.testing.assert_allclose(a, b, atol=2e-4)
        a, b = (mirror_mean(descriptor(p)) for p in (picture, mirror))
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99
    features = load_fisher().encode_frames([pictures[0], np.ascontiguousarray(pictures[0][:, ::-1])])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    assert features[0] @ features[1] > 0.99


def test_features_do_not_depend_on_the_batch_or_the_call(pictures):
    """The same frame gives the same bits alone, among others and again."""
    encoder = load_fisher()
    together = encoder.encode_frames(pictures)
    assert together.shape == (7, encoder.identity.dimension) == (7, 512)
    assert together.dtype == np.float32
    assert together.flags.c_contiguous
    for i, picture in enumerate(pictures):
        np.testing.assert_array_equal(encoder.encode_frames([picture])[0], together[i])


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (2, 3), (159, 161), (2160, 3840), (17, 5000)])
def test_frames_of_any_size(shape):
    """One pixel, strips and 4K give finite numbers."""
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    features = load_fisher().encode_frames([frame])
    assert features.shape == (1, 512)
    assert np.isfinite(features).all()


def test_blank_frames_are_alike_and_unlike_others(pictures):
    """Black, white and dark noise come to nearly the same direction."""
    dark = np.random.default_rng(0).integers(0, 2, (200, 300, 3), dtype=np.uint8)
    blank = [np.full((200, 300, 3), value, np.uint8) for value in (0, 255)]
    rows = load_fisher().encode_frames([*blank, dark, pictures[0]])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T
    assert cosines[0, 1] > 0.999
    assert cosines[0, 2] > 0.5
    assert cosines[0, 3] < 0.3


def test_the_shipped_weights_are_those_of_the_record():
    """The file's hash and size are the record's, and the size is within what a package may carry."""
    (record,) = (record for record in list_encoders() if record.name == "fisher")
    assert record.weights_sha256 == sha256(WEIGHTS) == make_encoder("fisher").identity.weights_sha256
    assert record.size_bytes == WEIGHTS.stat().st_size <= 25_000_000
    assert record.dimension == load_fisher().identity.dimension


def test_the_record_is_complete():
    """It says from what data, of which licence, by what recipe and seed, with which command it was made."""
    record = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert {source["licence"] for source in record["data"]} == {
        "Apache-2.0 (part of m2s)", "CC BY 2.5", "CC BY 3.0"
    }  # fmt: skip
    assert all(source["what"] for source in record["data"])
    assert record["film_pictures"] > 500
    assert record["procedural_pictures"] > 500
    assert record["recipe"].keys() >= {"seed", "axes", "gaussians", "clustering_steps", "mixture_steps"}
    assert "train_shipped.py" in record["command"]
    assert record["licence"]


def test_the_measured_figures_are_of_these_encoders():
    """The figures of place are of the weights and settings that are shipped, and of each half."""
    records = {record.name: record for record in list_encoders()}
    for name in ("gist", "fisher"):
        place, identity = records[name].place, make_encoder(name).identity
        assert place["identity"] == vars(identity)
        for half in ("all", "chosen on", "reported", "reported among all"):
            for kind in ("photograph", "scene"):
                assert place[half][kind].keys() == {"p@1", "p@5", "p@10"}


@pytest.mark.parametrize(
    ("options", "said"),
    [({"device": "cuda"}, "CPU only"), ({"precision": "bf16"}, "fp32 only"), ({"threads": 2}, "one thread")],
)
def test_options_that_it_cannot_have(options, said):
    """An option that would be ignored is refused."""
    with pytest.raises(UsageError, match=said):
        make_encoder("fisher", **options)


def test_weights_of_something_else_are_refused(tmp_path):
    """A missing file, a damaged one and one of other tensors are named, with what to do."""
    from safetensors.numpy import save_file

    other = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3, np.float32)}, other)
    (tmp_path / "damaged.safetensors").write_bytes(WEIGHTS.read_bytes()[:1000])
    for name in ("missing.safetensors", "damaged.safetensors", "other.safetensors"):
        with pytest.raises(WeightsError, match=rf"{name}: cannot be read as weights of the encoder fisher"):
            load_fisher(tmp_path / name)


def test_it_needs_no_torch():
    """Making and running it in a fresh process loads no network library."""
    code = (
        "import sys, numpy as np\n"
        "from m2s_index.encoders.registry import make_encoder, list_encoders\n"
        "make_encoder('fisher').encode_frames([np.zeros((9, 9, 3), np.uint8)]); list_encoders()\n"
        "print([m for m in ('torch', 'timm', 'torchvision', 'faiss', 'av') if m in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
