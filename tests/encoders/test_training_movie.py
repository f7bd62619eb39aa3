"""E_movie's training on rendered films with a table of genres: from the command line to the encoder's file."""

from __future__ import annotations

import csv
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import sql

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from safetensors.torch import load_file, save_file  # noqa: E402

from m2s_index.catalog import Catalog  # noqa: E402
from m2s_index.encoders.movie_encoder import load_movie_encoder  # noqa: E402
from m2s_index.encoders.training.auc import auc  # noqa: E402
from m2s_index.encoders.training.checkpoint import save_tensors  # noqa: E402
from m2s_index.encoders.training.movie_config import PRESETS  # noqa: E402
from m2s_index.encoders.training.movie_pairs import split_pairs  # noqa: E402
from m2s_index.errors import CatalogDamagedError, CatalogError, UsageError, WeightsError  # noqa: E402
from m2s_index.movie_source import LeftOut, ShotFeatureSource  # noqa: E402
from m2s_index.procedural import FilmSpec, ShotSpec, film_frames, write_video  # noqa: E402
from m2s_index.types import EncoderIdentity  # noqa: E402

GENRES = {"Western": ("desert", "meadow", "beach"), "Noir": ("city_night", "office", "library")}
FILMS_A_GENRE = 8
QUICK = (
    "--signal", "genre", "--set", "epochs=20", "--set", "pairs=16", "--set", "shots=6", "--set", "held_out=0.4",
)  # fmt: skip


def write_film(path, places, seed):
    """Nine shots of eight frames, each of one of these places."""
    generator = np.random.default_rng(seed)
    shots = tuple(
        ShotSpec(
            places[int(generator.integers(len(places)))], 8, "cut" if number else "start",
            camera="static", scene=number, seed=int(generator.integers(10_000)),
        )
        for number in range(9)
    )  # fmt: skip
    write_video(path, film_frames(FilmSpec(path.stem, shots, None, 160, 90)), rate=24)


def write_table(path, genres):
    """A table of the genres of films by their files."""
    rows = "".join(f"{name}.mp4,{name},1990,{genre}\n" for name, genre in genres.items())
    path.write_text("movie,title,year,genres\n" + rows, "utf-8")
    return path


@pytest.fixture(scope="module")
def bare_catalog(m2s, tmp_path_factory):
    """Films that look like their genres, indexed; their files are gone, for training reads no video."""
    films, folder = tmp_path_factory.mktemp("films"), tmp_path_factory.mktemp("bare") / "c"
    for genre, places in GENRES.items():
        for number in range(FILMS_A_GENRE):
            write_film(films / f"{genre}{number}.mp4", places, seed=number)
    built = m2s(
        "index", "build", films, "--encoder", "gist", "--catalog", folder, "--workers", "2", "--min-shot", "0.2"
    )
    assert built.status == 0, built.stderr
    shutil.rmtree(films)
    return folder


@pytest.fixture(scope="module")
def catalog(m2s, bare_catalog, tmp_path_factory):
    """The same, with the genres known."""
    folder = tmp_path_factory.mktemp("catalog")
    shutil.copytree(bare_catalog, folder / "c")
    genres = {f"{genre}{number}": genre for genre in GENRES for number in range(FILMS_A_GENRE)}
    imported = m2s("movies", "import", write_table(folder / "t.csv", genres), "--catalog", folder / "c")
    assert imported.status == 0, imported.stderr
    return folder / "c"


@pytest.fixture
def own_catalog(catalog, tmp_path):
    """A copy that the test may change."""
    return Path(shutil.copytree(catalog, tmp_path / "own"))


def arguments(catalog, out, *more):
    common = ("--catalog", catalog, "--out", out, "--device", "cpu", "--threads", "1")
    return [str(argument) for argument in ("train", "movie", *common, *more)]


def train(m2s, catalog, out, *more):
    return m2s(*arguments(catalog, out, *more))


def losses(out):
    with out.with_suffix(".csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def quick(m2s, catalog, tmp_path_factory):
    """A quick training that nobody interrupts."""
    out = tmp_path_factory.mktemp("quick") / "e.safetensors"
    ran = train(m2s, catalog, out, *QUICK)
    assert ran.status == 0, ran.stderr
    return out


def source_of(catalog, **values):
    return ShotFeatureSource(catalog, **{"signal": "genre", "similar": 10, **values})


def test_a_small_training_learns_what_films_have_in_common(m2s, catalog, tmp_path):
    """Loss falls, and films that it never saw are told apart; the numbers are those of the file, by hand."""
    out = tmp_path / "e.safetensors"
    ran = train(m2s, catalog, out, "--signal", "genre", "--set", "held_out=0.4", "--set", "pairs=16", "--json")
    assert ran.status == 0, ran.stderr
    said = ran.json()
    assert said["last_loss"] < 0.5 * said["first_loss"]
    assert said["config"]["signal"] == "genre"
    assert said["held_out_movies"]["auc"] > 0.8
    encoder = load_movie_encoder(out)
    with Catalog.open(catalog) as opened:
        source = source_of(opened)
        split = split_pairs(source.pairs, held_out=0.4, seed=0)
        films = [encoder.encode_shots(source.features(film)).mean(axis=0) for film in range(len(source.shots))]
    weights = load_file(out)
    for name, pairs in (("held_out_movies", split.held_out_movies), ("held_out_pairs", split.held_out_pairs)):
        products = np.stack([films[a] * films[b] for a, b in zip(pairs.first, pairs.second, strict=True)])
        scores = products @ weights["last.weight"][0].numpy() + weights["last.bias"].item()
        similar = int(pairs.similar.sum())
        assert said[name] == {
            "similar": similar,
            "dissimilar": len(pairs) - similar,
            "auc": pytest.approx(auc(scores, pairs.similar)),
        }
        assert 0 < similar < len(pairs)


def test_the_table_says_where_pairs_are_too_few(m2s, catalog, tmp_path):
    """With nothing held out there is nothing to measure, and that is said."""
    ran = train(m2s, catalog, tmp_path / "e.safetensors", *QUICK, "--set", "held_out=0", "--set", "epochs=1")
    assert ran.status == 0, ran.stderr
    assert "16 films" in ran.stderr
    assert "(0 films and 0 pairs held out)" in ran.stderr
    lines = ran.stdout.splitlines()
    assert [line.split()[:4] for line in lines[-2:]] == [
        ["held-out", "movies", "0", "0"],
        ["held-out", "pairs", "0", "0"],
    ]
    assert all("not enough held-out pairs" in line for line in lines[-2:])


def test_the_encoder_is_what_was_trained(quick, catalog):
    """It says what it learned by and from; films of any length become as many rows of length 1, each its shot's."""
    encoder = load_movie_encoder(quick, device="cpu")
    assert encoder.signal == "genre"
    assert (encoder.features_of.name, encoder.features_of.dimension) == ("gist", 512)
    with Catalog.open(catalog) as opened:
        features = source_of(opened).features(0)
    many = np.concatenate([features] * 300)
    rows = encoder.encode_shots(many)
    assert rows.shape == (len(many), PRESETS["small"].features)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert rows[len(features) : 2 * len(features)] == pytest.approx(encoder.encode_shots(features), abs=1e-6)
    state = load_file(quick.with_suffix(".training.safetensors"))
    weights = load_file(quick)
    assert weights
    assert all(torch.equal(tensor, state[f"task.{name}"]) for name, tensor in weights.items())
    with pytest.raises(UsageError, match=r"takes shot features by encoder gist, 512 numbers a shot; \[4, 7\]"):
        encoder.encode_shots(np.zeros((4, 7), np.float32))


def test_a_killed_training_goes_on_to_the_bit(m2s, catalog, quick, tmp_path):
    """Killed with signal 9 after a checkpoint, then resumed: the curve and encoder of one that was not killed."""
    out = tmp_path / "e.safetensors"
    state = out.with_suffix(".training.safetensors")
    command = [sys.executable, "-c", "from m2s_index.cli.main import main; main()"]
    process = subprocess.Popen(
        command + arguments(catalog, out, "--checkpoint-steps", "2", *QUICK), stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 2 <= len(load_file(state)["curve"]) < len(losses(quick))
    assert not out.exists()
    resumed = train(m2s, catalog, out, *QUICK, "--resume")
    assert resumed.status == 0, resumed.stderr
    assert out.with_suffix(".csv").read_bytes() == quick.with_suffix(".csv").read_bytes()
    assert out.read_bytes() == quick.read_bytes()


def test_pairs_are_those_of_the_metadata(catalog):
    """Similar where the genre is the same, each pair once, of films in the order of their contents."""
    names = [name for (name,) in sql(catalog, "SELECT name FROM movies ORDER BY fingerprint")]
    with Catalog.open(catalog) as opened:
        source = source_of(opened)
        assert source.left_out == LeftOut(0, 0, 0)
        assert len(source.shots) == len(names)
        pairs = source.pairs
        ends = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
        assert len(set(ends)) == len(ends)
        for (first, second), similar in zip(ends, pairs.similar, strict=True):
            assert first < second
            assert similar == (names[first][:-1] == names[second][:-1])
        assert pairs.similar.sum() == 2 * FILMS_A_GENRE * (FILMS_A_GENRE - 1) / 2
        assert source.digest == source_of(opened).digest != source_of(opened, seed=1).digest


def test_films_that_are_left_out(m2s, own_catalog, tmp_path):
    """Films of no known movie, without features, or of a movie that has another film are counted, and not used."""
    sql(
        own_catalog,
        "DELETE FROM features WHERE movie_id = (SELECT id FROM movies WHERE name = 'Noir0')",
        "UPDATE movies SET title = NULL, path = CAST('x.mp4' AS BLOB) WHERE name = 'Noir1'",
        "UPDATE title_files SET title_id = (SELECT title_id FROM title_files WHERE file LIKE 'Noir3%') "
        "WHERE file LIKE 'Noir4%'",
    )
    with Catalog.open(own_catalog) as opened:
        source = source_of(opened)
        assert source.left_out == LeftOut(unknown=1, not_embedded=1, again=1)
        assert len(source.shots) == 2 * FILMS_A_GENRE - 3
    ran = train(m2s, own_catalog, tmp_path / "e.safetensors", *QUICK, "--set", "epochs=1")
    assert ran.status == 0, ran.stderr
    left_out = "films left out: 1 of no known movie, 1 without shot features, 1 of the same movie as another\n"
    assert left_out in ran.stderr


def _genres(m2s, catalog, genre_of):
    genres = {f"{genre}{number}": genre_of(genre, number) for genre in GENRES for number in range(FILMS_A_GENRE)}
    table = write_table(catalog.parent / "other.csv", genres)
    assert m2s("movies", "import", table, "--catalog", catalog).status == 0


@pytest.mark.parametrize(
    ("genre_of", "said"),
    [
        (lambda _genre, _number: "Drama", "of the 16 films with shot features and metadata no two are dissimilar"),
        (lambda genre, number: f"{genre}-{number}", "no two are similar by genre"),
    ],
)
def test_pairs_of_one_kind_alone(m2s, own_catalog, tmp_path, genre_of, said):
    """Without a similar pair, or without another, there is nothing to learn."""
    _genres(m2s, own_catalog, genre_of)
    ran = train(m2s, own_catalog, tmp_path / "e.safetensors", *QUICK)
    assert ran.status == 2
    assert said in ran.stderr


def test_metadata_of_other_movies(m2s, bare_catalog, tmp_path):
    """Nothing known at all, and nothing known of these films, are two errors."""
    own = Path(shutil.copytree(bare_catalog, tmp_path / "own"))
    ran = train(m2s, own, tmp_path / "e.safetensors", *QUICK)
    assert ran.status == 2
    assert "none of the 16 indexed films is of a movie that metadata is known of" in ran.stderr
    assert m2s("movies", "import", write_table(tmp_path / "t.csv", {"Else": "Drama"}), "--catalog", own).status == 0
    again = train(m2s, own, tmp_path / "e.safetensors", *QUICK)
    assert again.status == 2
    assert "none of the 16 indexed films" in again.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--signal", "cowatch"], "no ratings are known of any movie"),
        (["--signal", "synopsis"], "no synopses are known of any movie"),
        (["--encoder", "clip"], "no embeddings by encoder 'clip' (it has: gist)"),
        (["--preset", "paper"], "and a batch takes 256, of both kinds"),
        (["--set", "signal=colour"], "signal 'colour': must be one of cowatch, genre, synopsis"),
        (["--set", "held_out=1"], "held_out 1.0: must be at least 0 and below 1"),
        (["--set", "pairs=1"], "pairs 1: must be at least 2"),
        (["--set", "shots=0"], "shots 0: must be at least 1"),
        (["--set", "queue_size=9"], "unknown setting 'queue_size'"),
        (["--resume"], "no checkpoint to resume"),
    ],
)
def test_a_training_that_cannot_be(m2s, catalog, tmp_path, more, said):
    """Wrong usage, before any file is written."""
    ran = train(m2s, catalog, tmp_path / "e.safetensors", "--signal", "genre", *more)
    assert ran.status == 2, ran.stderr
    assert said in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_sees_no_shots(m2s, own_catalog, tmp_path):
    """Embeddings of whole scenes are no shot features."""
    sql(own_catalog, "DELETE FROM features")
    ran = train(m2s, own_catalog, tmp_path / "e.safetensors", *QUICK)
    assert ran.status == 2
    assert "no shot features by encoder 'gist', which sees whole scenes" in ran.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("rows = rows - 1, data = substr(data, 1, (rows - 1) * columns * 2)", "by 'gist' are damaged"),
        ("columns = columns / 2, data = substr(data, 1, rows * columns)", "by 'gist' are damaged"),
        ("rows = rows + 1", "the matrix of '.*' by 'gist' is damaged"),
        ("data = CAST(zeroblob(length(data) - 2) || x'007e' AS BLOB)", "by 'gist' are damaged"),
    ],
)
def test_features_that_contradict_their_film(m2s, own_catalog, tmp_path, change, said):
    """Another number of shots or of numbers, or one that is not finite: the film is named, and the remedy."""
    sql(own_catalog, f"UPDATE features SET {change}")
    with Catalog.open(own_catalog) as opened, pytest.raises(CatalogDamagedError, match=said):
        source_of(opened).features(0)
    ran = train(m2s, own_catalog, tmp_path / "e.safetensors", *QUICK)
    assert ran.status == 1
    assert "run 'm2s index repair'" in ran.stderr


def test_features_of_films_that_are_gone(m2s, own_catalog):
    """A row of no film is in no pair; a film that goes while it is trained on is named."""
    sql(own_catalog, "UPDATE features SET movie_id = 999 WHERE movie_id = 1", foreign_keys=False)
    with Catalog.open(own_catalog) as opened:
        source = source_of(opened)
        assert source.left_out == LeftOut(0, 1, 0)
        sql(own_catalog, "DELETE FROM features")
        with pytest.raises(CatalogError, match=r"no shot features of '.*' by 'gist', or no longer"):
            source.features(0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "learning_rate=0.2"], "learning_rate was 0.1, now 0.2"),
        (["--set", "hidden=32"], "hidden was 64, now 32"),
        (["--preset", "paper"], "hidden was 64, now 512"),
    ],
)
def test_resuming_with_other_settings(m2s, catalog, quick, more, said):
    """Another setting, architecture or preset is refused, and each difference named."""
    ran = train(m2s, catalog, quick, *QUICK, *more, "--resume")
    assert ran.status == 2
    assert "begun with other settings" in ran.stderr
    assert said in ran.stderr


def test_resuming_with_other_metadata(m2s, own_catalog, quick):
    """Which films are similar is what is learned: where that has changed, it is another training."""
    _genres(m2s, own_catalog, lambda genre, number: genre if number else "Drama")
    ran = train(m2s, own_catalog, quick, *QUICK, "--resume")
    assert ran.status == 2
    assert "films have changed" in ran.stderr


def test_resuming_with_other_features(m2s, own_catalog, quick):
    """So it is where the encoder of the shots is another one."""
    sql(own_catalog, "UPDATE encoders SET identity = json_set(identity, '$.preprocessing', 'other')")
    ran = train(m2s, own_catalog, quick, *QUICK, "--resume")
    assert ran.status == 2
    assert "features have changed" in ran.stderr


def _pickle(path):
    path.write_bytes(pickle.dumps({"weights": [1.0]}))


def _plain(path):
    save_file({"weight": torch.zeros(2)}, path)


def _shot_encoder(path):
    save_tensors(path, {"weight": torch.zeros(2)}, {"kind": "shot encoder", "config": {}})


def _without(name):
    def spoil(path):
        identity = EncoderIdentity("gist", "gist", "", "", 512, "cosine").as_dict()
        header = {"kind": "movie encoder", "config": PRESETS["small"].as_dict(), "features_of": identity}
        save_tensors(path, {"weight": torch.zeros(2)}, {**header, name: {"surprise": 1}})

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_pickle, "pickles are not loaded"),
        (_plain, "says nothing of how it was trained"),
        (_shot_encoder, "holds a 'shot encoder', not a 'movie encoder'"),
        (_without("config"), "its network cannot be made .*unknown setting 'surprise'"),
        (_without("features_of"), "its network cannot be made"),
        (_without("nothing"), "these weights are not of this model"),
        (lambda path: None, "there is no such file"),
    ],
)
def test_a_file_that_is_no_movie_encoder(tmp_path, spoil, said):
    """Each other thing under its name is refused for what it is."""
    path = tmp_path / "x.safetensors"
    spoil(path)
    with pytest.raises(WeightsError, match=said):
        load_movie_encoder(path, device="cpu")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(_pickle, "pickles are not loaded"), (_plain, "says nothing"), (_shot_encoder, "not a 'movie training'")],
)
def test_a_checkpoint_that_is_none(m2s, catalog, tmp_path, spoil, said):
    """A resume refuses what is no checkpoint of this kind of training."""
    out = tmp_path / "e.safetensors"
    spoil(out.with_suffix(".training.safetensors"))
    ran = train(m2s, catalog, out, *QUICK, "--resume")
    assert ran.status == 1
    assert said in ran.stderr


def test_mixed_precision(m2s, catalog, quick, tmp_path):
    """The network in bf16 trains too, if to other numbers; the weights stay fp32 and losses finite."""
    out = tmp_path / "e.safetensors"
    assert train(m2s, catalog, out, *QUICK, "--precision", "bf16").status == 0
    curves = [losses(path) for path in (out, quick)]
    assert np.isfinite(curves[0]).all()
    assert curves[0] != curves[1]
    assert curves[0][0] == pytest.approx(curves[1][0], rel=0.05)
    assert {tensor.dtype for tensor in load_file(out).values()} == {torch.float32}


@pytest.mark.cuda
@pytest.mark.skipif(
    not torch.cuda.is_available() and not os.environ.get("FAIL_WITHOUT_CUDA"), reason="no CUDA device here"
)
def test_on_a_gpu(m2s, catalog, tmp_path):
    """A training on CUDA, in mixed precision, gives an encoder that the CPU runs."""
    out = tmp_path / "e.safetensors"
    ran = m2s("train", "movie", "--catalog", catalog, "--out", out, "--device", "cuda", *QUICK)
    assert ran.status == 0, ran.stderr
    assert np.isfinite(losses(out)).all()
    with Catalog.open(catalog) as opened:
        rows = load_movie_encoder(out, device="cpu").encode_shots(source_of(opened).features(0))
    assert np.isfinite(rows).all()


def test_not_a_number_stops_the_training(m2s, catalog, tmp_path):
    """The error names the step and what to change; no encoder is written."""
    out = tmp_path / "e.safetensors"
    ran = train(m2s, catalog, out, *QUICK, "--set", "learning_rate=1e38")
    assert ran.status == 1
    assert "lower learning_rate" in ran.stderr
    assert not out.exists()
