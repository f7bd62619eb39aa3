"""``m2s train adapt`` on rendered films with known stories: from a table of metadata to films embedded anew."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import sql
from story_films import make_story_catalog, write_table

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from m2s_index.adaptation import (  # noqa: E402
    CatalogAdaptation,
    HeldOut,
    choose_signal,
    hold_out,
    measure_held_out,
)
from m2s_index.catalog import Catalog  # noqa: E402
from m2s_index.encoders.training import movie_config  # noqa: E402
from m2s_index.encoders.training.adapt import AdaptationFiles, adapt  # noqa: E402
from m2s_index.encoders.training.place import Place  # noqa: E402
from m2s_index.encoders.training.processes import Processes  # noqa: E402
from m2s_index.encoders.training.scene_config import resolve_config  # noqa: E402
from m2s_index.errors import UsageError  # noqa: E402
from m2s_index.evaluate import evaluate_retrieval  # noqa: E402
from m2s_index.evaluation.retrieval_report import EvaluationOptions  # noqa: E402
from m2s_index.movie_source import ShotFeatureSource  # noqa: E402
from m2s_index.pairing.similar_films import similar_films  # noqa: E402

FILMS = 16
QUICK = ("movie.pairs=8", "movie.epochs=12", "scene.batch_pairs=4", "scene.epochs=4", "scene.warmup_epochs=1")


@pytest.fixture(scope="module")
def story(m2s, tmp_path_factory):
    """The catalogue before anything is known of its films, and the table."""
    return make_story_catalog(m2s, tmp_path_factory.mktemp("story"), films=FILMS)


@pytest.fixture
def own(story, tmp_path):
    """A copy of the catalogue that the test may change."""
    return Path(shutil.copytree(story / "catalog", tmp_path / "catalog"))


def arguments(catalog, out, *more):
    values = [word for value in QUICK for word in ("--set", value)]
    common = ("--catalog", catalog, "--out", out, "--device", "cpu", "--threads", "1", "--json")
    return [str(word) for word in ("train", "adapt", *common, *values, *more)]


@pytest.fixture(scope="module")
def adapted(m2s, story, tmp_path_factory):
    """An adaptation that nobody interrupts: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("adapted")
    shutil.copytree(story / "catalog", folder / "catalog")
    # The encoder's name, which is in the catalogue, is its path.
    ran = m2s(*arguments(folder / "catalog", folder / "out", story / "movies.csv", "--checkpoint-steps", "4"))
    assert ran.status == 0, ran.stderr
    return folder, ran


def test_one_command_teaches_and_embeds(m2s, adapted):
    """Metadata are in, files are there, every film has vectors by the new encoder, and it is searched by."""
    folder, ran = adapted
    said, name = ran.json(), str(folder / "out" / "e_scene.safetensors")
    assert f"{FILMS} movies ({FILMS} new); {FILMS} indexed films are of known movies" in ran.stderr
    assert (said["signal"], said["encoder"], said["embedded"], said["failures"]) == ("genre", name, FILMS, [])
    assert said["movie"]["config"]["held_out"] == said["scene"]["config"]["held_out"] == 0
    assert (said["movie"]["config"]["epochs"], said["scene"]["config"]["architecture"]) == (12, "shots")
    with (folder / "out" / "pairs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == said["pairs"]["pairs"] > 8
    names = {path.name for path in (folder / "out").iterdir()}
    assert {"e_movie.safetensors", "e_movie.csv", "e_movie.svg", "e_scene.safetensors", "pairs.csv"} <= names
    hits = m2s("query", "--scene", "1", "--encoder", name, "--json", "--catalog", folder / "catalog").json()["hits"]
    assert len(hits) == 10
    assert m2s("index", "verify", "--json", "--catalog", folder / "catalog").json()["ok"]


def held_out_films(catalog):
    with Catalog.open(catalog) as opened:
        return hold_out(opened, None, share=0.2, seed=0)


def test_nothing_is_learned_from_held_out_films(adapted):
    """They are in no pair of films and in no scene pair, though films that are kept are similar to them."""
    folder, ran = adapted
    held_out = held_out_films(folder / "catalog")
    assert len(held_out.movie_ids) == ran.json()["held_out"]["films"] == round(0.2 * FILMS)
    names = {name for movie_id, name in sql(folder / "catalog", "SELECT id, name FROM movies")
             if movie_id in held_out.movie_ids}  # fmt: skip
    with (folder / "out" / "pairs.csv").open() as file:
        mined = {row[column] for row in csv.DictReader(file) for column in ("movie", "other_movie")}
    assert mined
    assert not mined & names
    with Catalog.open(folder / "catalog") as catalog:
        films = similar_films(catalog, "genre", 10).films
        kept = similar_films(catalog, "genre", 10, without=held_out.movie_ids).films
        assert {film.name for film in films} & names
        assert {film.name for film in kept} == mined
        source = ShotFeatureSource(catalog, signal="genre", similar=10, without=held_out.movie_ids)
        assert len(source.shots) == FILMS - len(names)
        assert f"{len(np.unique([source.pairs.first, source.pairs.second]))} films" in ran.stderr


def test_the_table_is_that_of_eval_retrieval(m2s, adapted):
    """With the other films taken out of a copy, ``eval retrieval`` says the same, chance and both encoders."""
    folder, ran = adapted
    said = ran.json()["held_out"]
    held_out = held_out_films(folder / "catalog")
    copy = shutil.copytree(folder / "catalog", folder / "copy")
    for movie_id, _ in sql(copy, "SELECT id, name FROM movies"):
        if movie_id not in held_out.movie_ids:
            assert m2s("index", "remove", str(movie_id), "--catalog", copy).status == 0
    everything = ("--query-split", "all", "--gallery-split", "all", "--exclude-same-movie")
    both = [word for name in said["encoders"] for word in ("--encoder", name)]
    labels = ("--label", "place", "--label", "theme")
    expected = m2s("eval", "retrieval", *labels, *everything, *both, "--json", "--catalog", copy).json()
    assert said["encoders"] == ["gist", ran.json()["encoder"]]
    assert said["vocabularies"].keys() == {"place", "theme"}
    for vocabulary, found in said["vocabularies"].items():
        sides = [encoder["vocabularies"][vocabulary]["all"] for encoder in expected["encoders"]]
        assert (found["queries"], found["chance"]) == (sides[0]["queries"], pytest.approx(sides[0]["chance"]))
        for side, row in zip(("before", "after"), sides, strict=True):
            assert found[side] == pytest.approx({k: row[k] for k in ("p@1", "p@5", "p@10")})
        (difference,) = [d for d in expected["differences"] if d["vocabulary"] == vocabulary]
        assert {k: found["difference"][k] for k in found["after"]} == pytest.approx(
            {k: difference[k] for k in found["after"]}
        )
        assert found["difference"]["intervals"]["p@1"] == pytest.approx(difference["intervals"]["p@1"])


def test_table_for_reading(m2s, adapted):
    """Gone on with at its end nothing is trained again, and the table has chance, before, after, difference."""
    folder, ran = adapted
    words = [word for word in arguments(folder / "catalog", folder / "out", "--resume") if word != "--json"]
    again = m2s(*words)
    assert again.status == 0, again.stderr
    assert "[1/" not in again.stderr
    assert "0 films embedded" in again.stdout
    rows = [line.split() for line in again.stdout.splitlines()]
    place = ran.json()["held_out"]["vocabularies"]["place"]
    assert ["place", "chance", *3 * [f"{place['chance']:.2f}"]] in rows
    for side in ("before", "after"):
        assert [side, *(f"{place[side][k]:.2f}" for k in ("p@1", "p@5", "p@10"))] in rows
    assert sum(row[:1] == ["difference"] for row in rows) == 2


@pytest.mark.slow
def test_killed_and_gone_on_with(m2s, story, adapted, tmp_path):
    """Killed with signal 9 in one step after the other, each time gone on with by --resume: in the end its files
    are to the byte those of one that ran through.
    """
    shutil.copytree(story / "catalog", tmp_path / "catalog")
    out = tmp_path / "out"
    words = arguments(tmp_path / "catalog", out, story / "movies.csv", "--checkpoint-steps", "4", "--resume")
    for until in ("e_movie.training.safetensors", "pairs.csv", "e_scene.training.safetensors"):
        kill_when_there(words, out / until)
        assert not (out / "e_scene.safetensors").exists()
    ran = m2s(*words)
    assert ran.status == 0, ran.stderr
    for name in ("e_movie.safetensors", "e_movie.csv", "pairs.csv", "e_scene.safetensors", "e_scene.csv"):
        assert (out / name).read_bytes() == (adapted[0] / "out" / name).read_bytes(), name
    assert ran.json()["held_out"]["vocabularies"] == adapted[1].json()["held_out"]["vocabularies"]


def kill_when_there(words, path):
    """Run the command until a file is there, then kill it."""
    command = [sys.executable, "-c", "from m2s_index.cli.main import main; main()", *words]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_without_labels_all_films_are_learned_from(m2s, story, own, tmp_path):
    """There is no table then, and a line says why; with one labelled film as well."""
    sql(own, "DELETE FROM labels WHERE movie_id > 1")
    short = ("--set", "movie.epochs=1", "--set", "scene.epochs=2")
    ran = m2s(*arguments(own, tmp_path / "out", story / "movies.csv", *short))
    assert ran.status == 0, ran.stderr
    assert ran.json()["held_out"] is None
    assert "fewer than two films have labels ('m2s labels import' adds some): precision is not" in ran.stderr
    with Catalog.open(own) as catalog:
        pairs = ShotFeatureSource(catalog, signal="genre", similar=10).pairs
    assert f"{len(np.union1d(pairs.first, pairs.second))} films, {len(pairs)} pairs by genre" in ran.stderr


def test_settings_from_a_file(m2s, story, own, tmp_path):
    """A TOML file has a table for each training; single values go before it; a name without training is refused."""
    config = tmp_path / "c.toml"
    config.write_text("[movie]\nepochs = 1\nhidden = 8\n[scene]\nepochs = 2\nwidth = 16\n")
    options = ("--config", config, "--held-out", "0", "--signal", "synopsis", "--set", "movie.hidden=16")
    ran = m2s(*arguments(own, tmp_path / "out", story / "movies.csv", *options))
    assert ran.status == 0, ran.stderr
    said = ran.json()
    assert (said["movie"]["config"]["hidden"], said["scene"]["config"]["width"]) == (16, 16)
    assert (said["signal"], said["held_out"]) == ("synopsis", None)
    assert "no film is held out: precision is not measured" in ran.stderr
    for setting in ("epochs=5", "shot.epochs=5", "movie=5"):
        ran = m2s(*arguments(own, tmp_path / "other", "--set", setting))
        assert (ran.status, "write movie.NAME or scene.NAME" in ran.stderr) == (2, True), ran.stderr


def test_files_of_another_adaptation(m2s, story, adapted, tmp_path):
    """Without --resume they are not written over; with it, other settings or other held-out films are refused."""
    folder, _ = adapted
    for options, words in (
        ((), "e_movie.safetensors: is there already; go on with --resume"),
        (("--resume", "--set", "movie.seed=1"), "begun with other settings: seed was 0, now 1"),
        (("--resume", "--signal", "synopsis"), "begun with other settings: signal was 'genre', now 'synopsis'"),
        (("--resume", "--held-out", "0.4"), "the films have changed since this training was begun"),
        (("--resume", "--set", "scene.width=64"), "begun with other settings: width was 128, now 64"),
    ):
        ran = m2s(*arguments(folder / "catalog", folder / "out", *options))
        assert (ran.status, words in ran.stderr) == (2, True), ran.stderr
    blocked = tmp_path / "file"
    blocked.write_text("")
    ran = m2s(*arguments(folder / "catalog", blocked / "out"))
    assert (ran.status, "cannot be made" in ran.stderr) == (2, True)


def test_an_adaptation_is_of_shots_and_runs_alone(adapted, tmp_path, m2s):
    """Key frames are another training's, and several processes are for the single trainings: both are refused."""
    folder, _ = adapted
    ran = m2s(*arguments(folder / "catalog", tmp_path / "out", "--set", "scene.architecture=frames"))
    assert (ran.status, "architecture 'frames': an adaptation is of shots" in ran.stderr) == (2, True)
    several = Place(torch.device("cpu"), False, Processes(rank=0, count=2))
    with Catalog.open(folder / "catalog") as catalog, pytest.raises(UsageError, match="runs in one process"):
        adapt(
            CatalogAdaptation(catalog, HeldOut()),
            movie_config.PRESETS["small"],
            resolve_config("small", "shots", {}),
            AdaptationFiles(tmp_path / "out"),
            several,
            resume=False,
            checkpoint_steps=1,
            begin=lambda training: lambda done: None,
        )
    assert not (tmp_path / "out").exists()


def strangers(folder):
    return write_table(folder / "t.csv", ("movie", "title", "genres"), [("no.mkv", "No", "War")])


def nothing_known(folder):
    return write_table(folder / "t.csv", ("movie", "title"), [(f"Story 7-{n:03}.mp4", f"S{n}") for n in range(9)])


@pytest.mark.parametrize(
    ("table", "damage", "words"),
    [
        (None, (), "none of the 16 indexed films is of a movie that metadata is known of: import some with"),
        (strangers, (), "none of the 16 indexed films is of a movie that metadata is known of"),
        (nothing_known, (), "of the movies of 9 indexed films neither ratings nor genres nor synopses are known"),
        (strangers, ("DELETE FROM movies", "DELETE FROM encoders"), "no embeddings yet: run 'm2s index build"),
    ],
)
def test_errors(m2s, own, tmp_path, table, damage, words):
    """Nothing indexed, metadata of other films or without any signal: each is said before anything is trained."""
    for statement in damage:
        sql(own, statement)
    files = (table(tmp_path),) if table else ()
    ran = m2s(*arguments(own, tmp_path / "out", *files))
    assert ran.status == 2, ran.stderr
    assert words in ran.stderr
    assert not (tmp_path / "out" / "e_movie.safetensors").exists()


def test_too_few_films(m2s, story, own, tmp_path):
    """Where there are fewer pairs of films than a batch takes that is said, with what to set."""
    for movie_id, _ in sql(own, "SELECT id, name FROM movies")[6:]:
        m2s("index", "remove", str(movie_id), "--catalog", own)
    ran = m2s(*arguments(own, tmp_path / "out", story / "movies.csv", "--signal", "synopsis"))
    assert ran.status == 2
    assert re.search(r"a batch takes 8, of both kinds; index more films|no two are (dis)?similar by", ran.stderr)


def test_held_out_films_are_drawn_from_those_with_labels(story, own):
    """By what films hold and not by their ids; several files of a movie together; vocabularies of one film not."""
    ids = [movie_id for movie_id, _ in sql(own, "SELECT id, name FROM movies ORDER BY id")]
    with Catalog.open(own, writable=True) as catalog:
        drawn = hold_out(catalog, None, share=0.5, seed=0)
        assert len(drawn.movie_ids) == FILMS // 2
        assert drawn != hold_out(catalog, None, share=0.5, seed=1)
        assert hold_out(catalog, None, share=0, seed=0) == HeldOut()
        labelled = set(ids[:3])
        sql(own, "DELETE FROM labels WHERE movie_id > 3 OR (vocabulary = 'theme' AND movie_id > 1)")
        assert hold_out(catalog, None, share=0.5, seed=0) == HeldOut(frozenset(labelled), ("place",))
        # Films 1 and 3 are of one movie.
        sql(own, "INSERT INTO titles (id, title) VALUES (1, 'One')")
        for number in (1, 3):
            ((name,),) = sql(own, f"SELECT name FROM movies WHERE id = {number}")
            sql(own, f"INSERT INTO title_files (file, title_id) VALUES ('{name}', 1)")
        found = {hold_out(catalog, None, share=0.01, seed=seed).movie_ids for seed in range(4)}
        assert found == {frozenset(labelled)}
        with pytest.raises(UsageError, match="neither ratings nor genres nor synopses"):
            choose_signal(catalog)


def test_measuring_without_vocabularies(own):
    """Nothing is measured where no vocabulary is there; ``only`` nobody leaves no scene."""
    with Catalog.open(own) as catalog:
        assert measure_held_out(catalog, HeldOut(frozenset({1, 2})), None, "gist", seed=0) is None
        with pytest.raises(UsageError, match="no scene is left of the queries of 'place'"):
            evaluate_retrieval(catalog, ["place"], [], EvaluationOptions("all", "all"), only=())


def test_signal_by_what_is_known(m2s, story, own):
    """The one that most films have; of equals co-watch, then genre."""
    m2s("movies", "import", story / "movies.csv", "--catalog", own)

    def chosen():
        with Catalog.open(own) as catalog:
            return choose_signal(catalog)

    assert chosen() == "genre"
    sql(own, "DELETE FROM title_genres WHERE title_id = 1")
    assert chosen() == "synopsis"
    sql(own, "INSERT INTO title_ratings SELECT id, x'01000000', x'0045' FROM titles")
    assert chosen() == "cowatch"
    assert json.loads(m2s("movies", "similar", "--signal", "genre", "--json", "--catalog", own).stdout)["pairs"]
