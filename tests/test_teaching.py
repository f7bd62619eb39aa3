"""All of the method, from files to a catalogue that is searched by what was learned: on real films and metadata."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import numpy as np
import pytest

from m2s_index.video import VideoReader

pytest.importorskip("torch")
pytest.importorskip("kornia")
pytest.importorskip("sklearn")

PIECE_SECONDS = 20
MOST_PIECES = 10
SHOT_SECONDS = 0.5
BITEXACT = {"fflags": "bitexact"}
"""Films are trained on in the order of their contents' hash, and Matroska has random ids."""
FILMS = {
    "big_buck_bunny_2008_full_252p.mp4": ("Big Buck Bunny", 2008, "Comedy|Short"),
    "penny_and_chip_compilation_360p.mp4": ("Penny and Chip", 2017, "Family|Musical"),
    "elephants_dream_2006_first72s_360p.ts": ("Elephants Dream", 2006, "Drama|Mystery"),
    "tears_of_steel_2012_battle_332p.webm": ("Tears of Steel", 2012, "Sci-Fi|Action"),
    "sintel_2010_trailer_204p.mp4": ("Sintel", 2010, "Fantasy|Adventure"),
}
"""Title, year and genres: each piece of a film is a movie of these, and similar to the other pieces alone."""


def pieces(source: Path, folder: Path) -> list[Path]:
    """A film's own packets in files of some twenty seconds, each from a key frame on; the same bits each time."""
    made: list[Path] = []
    with av.open(str(source)) as film:
        stream = film.streams.video[0]
        target, first = None, 0
        for packet in film.demux(stream):
            if packet.dts is None:
                continue
            if packet.is_keyframe and (target is None or (packet.dts - first) * packet.time_base >= PIECE_SECONDS):
                if target:
                    target.close()
                if len(made) == MOST_PIECES:
                    return made
                made.append(folder / f"{source.stem.split('_')[0]} {len(made) + 1}.mkv")
                target, first = av.open(str(made[-1]), "w", container_options=BITEXACT), packet.dts
                copy = target.add_stream_from_template(stream)
            assert target
            packet.pts, packet.dts = (packet.pts or packet.dts) - first, packet.dts - first
            packet.stream = copy
            target.mux(packet)
        assert target
        target.close()
    return made


def list_cuts(film: Path, folder: Path) -> None:
    """A cut list of shots of half a second: so short a film has few of its own."""
    with VideoReader(film) as reader:
        step = round(SHOT_SECONDS * reader.info.frame_rate)
        frames = sum(1 for _ in reader.frames())
    starts = range(0, max(1, frames - step // 2), step)
    with (folder / f"{film.stem}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["index", "start_frame", "end_frame", "start_seconds", "end_seconds", "transition"])
        for index, start in enumerate(starts):
            end = starts[index + 1] if index + 1 < len(starts) else frames
            rate = float(reader.info.frame_rate)
            table.writerow([index, start, end, start / rate, end / rate, "cut" if index else "start"])


@pytest.fixture(scope="module")
def films(shared_data, tmp_path_factory):
    """Pieces of real films, their cut lists, and a table of what is known of them."""
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "cuts").mkdir()
    with (folder / "movies.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["movie", "title", "year", "genres", "synopsis", "imdb_id"])
        number = 0
        for name, (title, year, genres) in FILMS.items():
            source = shared_data / "video" / name
            if not source.exists():
                pytest.skip(f"no {source}")
            for part, path in enumerate(pieces(source, folder), start=1):
                number += 1
                list_cuts(path, folder / "cuts")
                table.writerow([path.name, f"{title}, part {part}", year, genres, "", f"tt99{number:05}"])
    return folder


@pytest.mark.slow
def test_from_films_and_metadata_to_a_taught_catalogue(films, shared_data, tmp_path, m2s):
    """Metadata, all three trainings, mining, re-embedding, searching, by the commands that the documents name."""

    def ran(*arguments):
        done = m2s(*arguments, "--json", "--catalog", tmp_path / "catalog")
        assert done.status == 0, done.stderr
        return done.json()

    def fall(done, epochs):
        """The mean loss of the last epoch as a share of the first's."""
        with Path(done["curve"]).open() as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file)]
        assert (losses[0], len(losses)) == (done["first_loss"], done["steps"])
        steps = len(losses) // epochs
        return np.mean(losses[-steps:]) / np.mean(losses[:steps])

    cut = ("--shots-from", films / "cuts")
    built = ran("index", "build", films, *cut, "--encoder", "gist", "--workers", "2")
    assert built["movies"]["indexed"] >= 20
    known = ran("movies", "import", shared_data / "metadata" / "ml-latest-small")
    assert known["ratings"] > 100_000
    assert ran("movies", "import", films / "movies.csv")["indexed"] == built["movies"]["indexed"]

    e_shot, e_movie, e_scene = (tmp_path / f"e_{name}.safetensors" for name in ("shot", "movie", "scene"))
    shot = ran("train", "shot", "--set", "epochs=4", "--threads", "1", "--out", e_shot)
    assert fall(shot, 4) < 0.9
    ran("index", "build", "--encoder", e_shot, "--threads", "1")
    movie = ran("train", "movie", "--signal", "genre", "--encoder", e_shot, "--threads", "1", "--out", e_movie)
    assert fall(movie, 60) < 0.9
    assert movie["held_out_pairs"]["auc"] > 0.8

    pairs, page = tmp_path / "pairs.csv", tmp_path / "pairs.html"
    mined = ran("train", "mine", "--movie-encoder", e_movie, "--out", pairs, "--html", page)
    assert mined["pairs"] >= 100
    assert page.read_text("utf-8").count("<img") >= 18 * 100
    given = ("--pairs", pairs, "--encoder", e_shot, "--held-out", "0.4", "--threads", "1")
    scene = ran("train", "scene", *given, "--out", e_scene)
    assert fall(scene, 20) < 0.9
    assert scene["held_out"]["after"]["queries"] > 30
    assert scene["held_out"]["after"]["auc"] > 0.6

    ran("index", "build", "--encoder", e_scene, "--threads", "1")
    names = {encoder["name"] for encoder in ran("index", "status")["encoders"]}
    assert names == {"gist", str(e_shot), str(e_scene)}
    hits = ran("query", "--scene", "big 3#0", "--encoder", e_scene, "--other-movies")["hits"]
    assert len(hits) == 10
    assert all(hit["movie"] != "big 3" for hit in hits)
    assert ran("index", "verify")["ok"]
