"""Building with an encoder that sees motion: new films, films indexed before, and what cannot be read again."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import contents, sql
from plain_builds import MeanColour, MeanMotion, library_build

from m2s_index.build import BuildResult
from m2s_index.catalog import Catalog
from m2s_index.clips import ClipFound, read_clips
from m2s_index.embed import ClipEmbedder
from m2s_index.encoder import ClipEncoder
from m2s_index.encoders.gist import GistEncoder
from m2s_index.errors import EncoderError
from m2s_index.index_file import embedding_entries, stored_vectors
from m2s_index.matrices import find_encoder
from m2s_index.movies import list_movies, list_scenes, list_shots
from m2s_index.sessions import reader_of
from m2s_index.types import BuildOptions, Float32Array, Image
from m2s_index.verify import verify_catalog


def motion_of(folder: Path) -> dict[str, Float32Array]:
    """Each film's stored scene vectors by the clip encoder, by the film's name."""
    with Catalog.open(folder) as catalog, catalog.read() as session:
        scenes, reader = {s.scene_id: s.movie for s in list_scenes(session)}, reader_of(session)
        entries = embedding_entries(reader, find_encoder(reader, "motion"))
        return {scenes[int(rows.scene_ids[0])]: rows.vectors for rows in stored_vectors(reader, entries)}


def expected_motion(folder: Path) -> dict[str, Float32Array]:
    """The same, from the catalogue's shots and the films' files, scene by scene."""
    encoder, found = MeanMotion(), {}
    with Catalog.open(folder) as catalog, catalog.read() as session:
        for movie in list_movies(session):
            shots = list_shots(session, movie.movie_id)
            rows = []
            for scene in list_scenes(session, movie_id=movie.movie_id):
                span = shots[scene.first_shot].start_pts, shots[scene.end_shot - 1].end_pts
                (clip,) = read_clips(Path(movie.path), [span], encoder.clip, crop=movie.crop, keyframe_px=544)
                row = encoder.encode_clip(clip.frames)
                rows.append(row / np.linalg.norm(row))
            found[movie.name] = np.stack(rows)
    return found


def assert_motion(folder: Path) -> None:
    """What is stored is what the encoder says of each scene's own clip."""
    stored, expected = motion_of(folder), expected_motion(folder)
    assert stored.keys() == expected.keys()
    for name, rows in stored.items():
        np.testing.assert_allclose(rows, expected[name], atol=1e-6)
        assert len(np.unique(rows.round(4), axis=0)) == len(rows)


def failed(result: BuildResult) -> dict[str, str]:
    return {Path(failure.path).name: failure.error for failure in result.failures}


def test_which_encoders_see_motion():
    """They are told apart by what they offer."""
    assert isinstance(MeanMotion(), ClipEncoder)
    for still in (MeanColour(), GistEncoder()):
        assert isinstance(still, ClipEncoder) is False


def test_films_are_embedded_from_their_scenes_clips(own_films, tmp_path, m2s):
    """Vectors are those of each scene's middle; key frames are kept all the same, and nothing is done twice."""
    folder = tmp_path / "catalog"
    result = library_build(folder, MeanMotion(), [own_films])
    assert (result.indexed, result.failures) == (4, [])
    assert_motion(folder)
    assert all(film["features"] == [] and film["keyframes"] for film in contents(folder).values())
    with Catalog.open(folder) as catalog:
        assert verify_catalog(catalog).ok
    again = library_build(folder, MeanMotion(), [own_films])
    assert (again.indexed, again.embedded, again.unchanged) == (0, 0, 4)
    hits = m2s("query", "--catalog", folder, "--scene", "Alpha Beach#0", "-k", "2", "--json").json()["hits"]
    assert len(hits) == 2


def test_films_indexed_before_are_read_once_more(own_catalog, own_films):
    """Beside what another encoder saw, which stays; then key frames serve a third."""
    before = contents(own_catalog)
    result = library_build(own_catalog, MeanMotion())
    assert (result.embedded, result.failures) == (4, [])
    assert_motion(own_catalog)
    after = contents(own_catalog)
    for name, film in before.items():
        assert film["features"] == after[name]["features"]
        assert set(film["embeddings"]) < set(after[name]["embeddings"])
    assert library_build(own_catalog, MeanMotion()).embedded == 0
    assert library_build(own_catalog, MeanColour()).embedded == 4
    with Catalog.open(own_catalog) as catalog:
        assert verify_catalog(catalog).ok


def test_new_films_and_old_ones_in_one_build(own_films, tmp_path):
    """A build with this encoder does both, and both give the same numbers."""
    folder, whole = tmp_path / "catalog", tmp_path / "whole"
    library_build(folder, MeanColour(), [own_films / "Short.mp4"])
    result = library_build(folder, MeanMotion(), [own_films])
    assert (result.indexed, result.embedded) == (3, 1)
    library_build(whole, MeanMotion(), [own_films])
    for name, rows in motion_of(whole).items():
        np.testing.assert_array_equal(rows, motion_of(folder)[name])


def test_films_that_changed_or_are_gone_are_named(own_catalog, own_films):
    """Clips come from the file itself: one that is not what was indexed is not read, the others are."""
    (own_films / "Short.mp4").unlink()
    shutil.copy(own_films / "Gamma (1992).mp4", own_films / "Beta Road (1991).mp4")
    result = library_build(own_catalog, MeanMotion())
    assert result.embedded == 2
    errors = failed(result)
    assert errors.keys() == {"Short.mp4", "Beta Road (1991).mp4"}
    assert "no such file" in errors["Short.mp4"]
    assert "has changed since it was indexed; run 'm2s index build'" in errors["Beta Road (1991).mp4"]


def test_a_damaged_film_in_the_catalogue_is_named(own_catalog):
    """Its scenes lead nowhere; the others are embedded."""
    sql(own_catalog, "DELETE FROM shots WHERE movie_id = (SELECT id FROM movies WHERE name = 'Short')")
    result = library_build(own_catalog, MeanMotion())
    assert result.embedded == 3
    assert "m2s index repair" in failed(result)["Short.mp4"]


def test_an_encoder_that_gives_nonsense_fails_the_film_whole(films, tmp_path):
    """No rows of it, no key frames, no vectors."""

    class Broken(MeanMotion):
        def encode_clip(self, frames: Image) -> Float32Array:
            return super().encode_clip(frames)[:5]

    result = library_build(tmp_path / "c", Broken(), [films])
    assert result.indexed == 0
    assert set(failed(result)) == {path.name for path in films.iterdir()}
    assert all("gave shape (5,) instead of (6,)" in error for error in failed(result).values())
    assert contents(tmp_path / "c") == {}
    assert list((tmp_path / "c" / "keyframes").iterdir()) == []


def test_clips_belong_to_their_scenes():
    """One that comes out of turn, or is missing at the end, is an error and no shifted matrix."""
    clip = ClipFound(0, np.zeros((6, 40, 40, 3), np.uint8))
    embedder = ClipEmbedder(MeanMotion())
    with pytest.raises(EncoderError, match=r"shape \(6, 40, 41, 3\) instead of \(6, 40, 40, 3\)"):
        embedder.add(ClipFound(0, np.zeros((6, 40, 41, 3), np.uint8)))
    embedder.add(clip)
    with pytest.raises(EncoderError, match="scene 1 has no clip for motion"):
        embedder.add(clip)
    with pytest.raises(EncoderError, match="1 clips came for motion, of 2 scenes"):
        embedder.finish(2)
    assert embedder.finish(1).shots is None


def test_lost_shot_features_are_still_found(own_catalog):
    """Beside an encoder that has none of any film, one that lacks them of one film is damaged."""
    library_build(own_catalog, MeanMotion())
    sql(own_catalog, "DELETE FROM features WHERE movie_id = 2")
    with Catalog.open(own_catalog) as catalog:
        problems = verify_catalog(catalog).problems
    assert [problem.where.partition(" by ")[2] for problem in problems] == ["gist"]


def test_an_estimate_shares_a_clips_time_among_its_key_frames():
    """A clip of nine shots that takes 90 ms costs 10 ms a key frame, and half of that where a shot has two."""
    from m2s_index.cli.estimate import seconds_per_frame

    class Slow(MeanMotion):
        def encode_clip(self, frames: Image) -> Float32Array:
            assert frames.shape == (6, 40, 40, 3)
            time.sleep(0.09)
            return super().encode_clip(frames)

    assert 0.01 <= seconds_per_frame(Slow(), BuildOptions()) < 0.1
    assert 0.005 <= seconds_per_frame(Slow(), BuildOptions(frames_per_shot=2)) < 0.05


@pytest.mark.slow
def test_slowfast_from_the_command_line(own_films, tmp_path, m2s):
    """From a checkpoint to a query: 2304 numbers a scene, under the checkpoint's own hash."""
    torch = pytest.importorskip("torch")
    from m2s_index.encoders.slowfast_network import SlowFast, Variant

    torch.manual_seed(0)
    torch.save({"model_state": SlowFast(Variant()).state_dict()}, tmp_path / "w.pyth")
    folder = tmp_path / "catalog"
    wanted = ("--encoder", "slowfast_r101", "--weights", tmp_path / "w.pyth", "--device", "cpu")
    ran = m2s("index", "build", own_films / "Short.mp4", "--catalog", folder, *wanted, "--json", "--workers", "1")
    assert ran.status == 0, ran.stderr
    assert ran.json()["movies"]["indexed"] == 1
    film = contents(folder)["Short.mp4"]
    ((_, rows, columns, _, data),) = film["embeddings"]
    assert (rows, columns, len(data)) == (1, 2304, 4 * 2304)
    assert np.linalg.norm(np.frombuffer(data, np.float32)) == pytest.approx(1, abs=1e-5)
    info = m2s("encoders", "info", "slowfast_r101", "--catalog", folder, "--json").json()
    assert info["dimension"] == 2304
    assert m2s("index", "verify", "--catalog", folder).status == 0
    assert film["keyframes"]
