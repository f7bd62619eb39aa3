"""Building with encoders that see a scene whole: from its key frames together, or from another's shot features."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from catalog_contents import contents, sql
from plain_builds import ColourSteps, EdgeColours, MeanColour, MeanMotion, library_build

from m2s_index.catalog import Catalog
from m2s_index.encoder import AnyEncoder, ClipEncoder, SceneEncoder, ShotFeatureEncoder
from m2s_index.errors import CatalogDamagedError, EncoderError, UsageError
from m2s_index.index_file import embedding_entries, stored_vectors
from m2s_index.keyframe_store import KeyFrameReader, decode_jpeg
from m2s_index.matrices import find_encoder
from m2s_index.movies import list_movies, list_scenes
from m2s_index.scenes import key_shots
from m2s_index.sessions import reader_of
from m2s_index.shot_features import shot_features
from m2s_index.types import Float32Array
from m2s_index.verify import verify_catalog


def scene_rows(folder: Path, name: str) -> dict[str, Float32Array]:
    """Each film's stored scene vectors by an encoder, by the film's name."""
    with Catalog.open(folder) as catalog, catalog.read() as session:
        scenes, reader = {s.scene_id: s.movie for s in list_scenes(session)}, reader_of(session)
        entries = embedding_entries(reader, find_encoder(reader, name))
        return {scenes[int(rows.scene_ids[0])]: rows.vectors for rows in stored_vectors(reader, entries)}


def expected_rows(folder: Path, encoder: EdgeColours | ColourSteps) -> dict[str, Float32Array]:
    """The same, scene by scene, from the stored pictures or the stored features."""
    found = {}
    with Catalog.open(folder) as catalog, catalog.read() as session:
        for movie in list_movies(session):
            (file,) = sql(folder, f"SELECT keyframes_file FROM movies WHERE id = {movie.movie_id}")[0]
            rows = []
            for scene in list_scenes(session, movie_id=movie.movie_id):
                shots = key_shots(scene.first_shot, scene.end_shot, 9)
                if isinstance(encoder, ColourSteps):
                    features = shot_features(
                        reader_of(session),
                        MeanColour().identity,
                        movie.movie_id,
                        shots=movie.shots,
                        name=movie.name,
                    )
                    rows.append(encoder.encode_shot_features(features[shots]))
                    continue
                with KeyFrameReader(catalog.keyframes_folder, file) as reader:
                    stored = [reader.read(shot) for shot in shots]
                frames = [decode_jpeg(pictures[len(pictures) // 2], movie.crop) for pictures in stored]
                rows.append(encoder.encode_key_frames(frames))
            found[movie.name] = np.stack(rows)
    return found


def test_encoders_are_told_apart_by_what_they_offer():
    """None of the four kinds is taken for another."""
    kinds: dict[type[AnyEncoder], AnyEncoder] = {
        ClipEncoder: MeanMotion(), SceneEncoder: EdgeColours(), ShotFeatureEncoder: ColourSteps()
    }  # fmt: skip
    for kind in kinds:
        assert [isinstance(encoder, kind) for encoder in (*kinds.values(), MeanColour())] == [
            other is kind for other in (*kinds, None)
        ]


@pytest.mark.parametrize("encoder", [EdgeColours(), ColourSteps()])
def test_indexed_films_are_embedded_without_their_files(own_catalog, own_films, encoder):
    """From what is stored, scene by scene, beside what is there; nothing is done twice."""
    library_build(own_catalog, MeanColour())
    before = contents(own_catalog)
    shutil.rmtree(own_films)
    result = library_build(own_catalog, encoder)
    assert (result.embedded, result.failures) == (4, [])
    name = encoder.identity.name
    stored, expected = scene_rows(own_catalog, name), expected_rows(own_catalog, encoder)
    assert stored.keys() == expected.keys()
    for film, rows in stored.items():
        np.testing.assert_array_equal(rows, expected[film])
    # A scene of fewer than nine shots, and one of eleven, of which nine stand for it.
    assert [rows[:, -1].tolist() for _, rows in sorted(stored.items())] == [[9, 9], [9], [9], [3]]
    after = contents(own_catalog)
    assert all(film["features"] == after[at]["features"] for at, film in before.items())
    assert library_build(own_catalog, encoder).embedded == 0
    with Catalog.open(own_catalog) as catalog:
        assert verify_catalog(catalog).ok


def test_new_films_are_embedded_from_their_key_frames(own_films, own_catalog, tmp_path):
    """A film that is indexed by an encoder of scenes has the numbers that it would have had later."""
    folder = tmp_path / "fresh"
    result = library_build(folder, EdgeColours(), [own_films])
    assert (result.indexed, result.failures) == (4, [])
    assert all(film["features"] == [] and film["keyframes"] for film in contents(folder).values())
    library_build(own_catalog, EdgeColours())
    later = scene_rows(own_catalog, "edges")
    for film, rows in scene_rows(folder, "edges").items():
        np.testing.assert_array_equal(rows, later[film])


def test_shot_features_have_to_be_there_first(own_films, own_catalog, tmp_path):
    """New films are refused before one is read; an indexed film without features is named with the remedy."""
    with pytest.raises(UsageError, match="4 films lack: index them with --encoder colour as it was called"):
        library_build(tmp_path / "fresh", ColourSteps(), [own_films])
    result = library_build(own_catalog, ColourSteps())
    assert result.embedded == 0
    assert len(result.failures) == 4
    assert "by colour as it was called elsewhere" in result.failures[0].error
    assert "run 'm2s index build --encoder colour" in result.failures[0].error


def test_features_that_do_not_fit_their_film(own_catalog):
    """A matrix of another number of shots is damage, and told as such."""
    library_build(own_catalog, MeanColour())
    sql(own_catalog, "UPDATE features SET rows = rows - 1, data = substr(data, 1, (rows - 1) * columns * 2)")
    result = library_build(own_catalog, ColourSteps())
    assert [failure.error.endswith("run 'm2s index repair'") for failure in result.failures] == [True] * 4


def test_shot_features_of_nobody(own_catalog):
    """A film that is not there has none; a stored matrix that is cut short is damage."""
    with (
        Catalog.open(own_catalog) as catalog,
        catalog.reader() as reader,
        pytest.raises(EncoderError, match="no shot features of 'Nobody' by colour"),
    ):
        shot_features(reader, MeanColour().identity, 99, shots=3, name="Nobody")
    library_build(own_catalog, MeanColour())
    sql(own_catalog, "UPDATE features SET data = substr(data, 2)")
    with (
        Catalog.open(own_catalog) as catalog,
        catalog.reader() as reader,
        pytest.raises(CatalogDamagedError, match="'Somebody' by 'colour' is damaged"),
    ):
        shot_features(reader, MeanColour().identity, 1, shots=20, name="Somebody")


class Spoilt(EdgeColours):
    """Gives numbers that are not finite."""

    def encode_key_frames(self, frames):
        return np.full(7, np.nan, np.float32)


class Short(ColourSteps):
    """Gives fewer numbers than it says."""

    def encode_shot_features(self, features):
        return features[0]


@pytest.mark.parametrize(
    ("encoder", "said"), [(Spoilt(), "numbers that are not finite"), (Short(), "gave shape (3,) instead of (7,)")]
)
def test_what_an_encoder_gives_is_checked(own_catalog, encoder, said):
    """A wrong shape or number is the encoder's error, film by film."""
    library_build(own_catalog, MeanColour())
    result = library_build(own_catalog, encoder)
    assert result.embedded == 0
    assert [said in failure.error for failure in result.failures] == [True] * 4
