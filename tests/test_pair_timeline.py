"""Pairs on an editor's time line: read back with OpenTimelineIO, every clip is the scene's own, to the frame."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from catalog_factory import make_encoder, make_film, unit_rows
from film_factory import Look, pictures, write_film

from m2s_index.catalog import Catalog
from m2s_index.movies import add_film, list_scenes
from m2s_index.pairing.film_pairs import PairOptions, film_pairs
from m2s_index.pairing.pair_timeline import EDL_PAIRS, pair_timeline
from m2s_index.types import FilmVectors, ScenePair

otio = pytest.importorskip("opentimelineio")

FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)
SCENE_FRAMES = 1801
"""Odd, and longer than a minute: drop-frame timecode skips numbers within every scene."""


def add(catalog, path, rate, scenes=6, frames=SCENE_FRAMES):
    """A film of so many scenes of one shot each, whose clock ticks once a frame and starts at 5."""
    film = make_film(path, [1.0] * scenes)
    shots = tuple(
        replace(
            shot,
            start_frame=i * frames,
            end_frame=(i + 1) * frames,
            start_pts=5 + i * frames,
            end_pts=5 + (i + 1) * frames,
        )
        for i, shot in enumerate(film.shots)
    )
    film = replace(
        film,
        shots=shots,
        info=replace(film.info, frame_rate=rate, time_base=1 / rate),
        start_pts=5,
        end_pts=5 + scenes * frames,
        frames=scenes * frames,
    )
    vectors = unit_rows(np.random.default_rng(len(path)), scenes, 8)
    with catalog.write() as session:
        return add_film(session, film, FilmVectors(make_encoder(dimension=8), vectors, vectors))


@pytest.fixture
def catalog(tmp_path):
    with Catalog.open(tmp_path / "catalog", create=True) as catalog:
        yield catalog


def found_pairs(catalog, *films):
    return film_pairs(catalog, *films, PairOptions(keep=1.0)).pairs


def read_back(text, kind, rate):
    """The time line that a text is; it has one track."""
    adapter, options = ("otio_json", {}) if kind == "otio" else ("cmx_3600", {"rate": float(rate)})
    timeline = otio.adapters.read_from_string(text, adapter, **options)
    assert len(timeline.tracks) == 1
    return timeline


def clips_of(text, kind, rate):
    return list(read_back(text, kind, rate).tracks[0])


@pytest.mark.parametrize("kind", ["otio", "edl"])
@pytest.mark.parametrize("rate", [FILM, NTSC, Fraction(24), Fraction(25), Fraction(60000, 1001)])
def test_every_clip_is_its_scene_to_the_frame(catalog, rate, kind):
    """A's scene, then B's, pair by pair; the time line has no gaps, and lasts as long as its scenes."""
    for name in ("a", "other"):
        add(catalog, f"/films/{name}.mp4", rate)
    pairs = found_pairs(catalog, "a", "other")
    assert len(pairs) == 6
    text = pair_timeline(catalog, pairs, "a and other", kind)
    timeline = read_back(text, kind, rate)
    clips = list(timeline.tracks[0])
    scenes = [scene for pair in pairs for scene in (pair.a, pair.b)]
    assert [clip.name for clip in clips] == [f"{scene.movie}.mp4" for scene in scenes]
    for place, (clip, scene) in enumerate(zip(clips, scenes, strict=True)):
        span = clip.source_range
        assert span.start_time.rate == pytest.approx(float(rate))
        assert (span.start_time.value, span.duration.value) == (scene.index * SCENE_FRAMES, SCENE_FRAMES)
        assert clip.range_in_parent().start_time.value == place * SCENE_FRAMES
        assert clip.media_reference.target_url == f"file:///films/{scene.movie}.mp4"
    if kind == "edl":
        drop = rate in (NTSC, 2 * NTSC)
        assert text.splitlines()[1] == ("FCM: DROP FRAME" if drop else "FCM: NON-DROP FRAME")
        assert f"* PAIR 6B, SCORE {pairs[5].score:.3f}" in text.splitlines()
        assert {clip.metadata["cmx_3600"]["reel"] for clip in clips} == {"M1", "M2"}


def test_films_of_different_rates(catalog):
    """OTIO keeps each film's own rate, exactly in its metadata; an EDL has one, and says which films differ."""
    add(catalog, "/films/a.mp4", FILM)
    add(catalog, "/films/other.mp4", NTSC)
    pairs = found_pairs(catalog, "a", "other")
    clips = clips_of(pair_timeline(catalog, pairs, "both", "otio"), "otio", None)
    assert [clip.metadata["m2s"]["frame_rate"] for clip in clips[:2]] == ["24000/1001", "30000/1001"]
    assert [clip.source_range.duration.rate for clip in clips[:2]] == [float(FILM), float(NTSC)]
    first = dict(clips[1].metadata["m2s"])
    assert (first["pair"], first["side"], first["score"]) == (1, "b", pairs[0].score)
    assert (first["scene_id"], first["index"], first["kind"]) == (pairs[0].b.scene_id, pairs[0].b.index, "similar")
    assert [marker.name for marker in clips[1].markers] == [f"pair 1b, score {pairs[0].score:.3f}"]
    assert clips[1].markers[0].marked_range.start_time == clips[1].source_range.start_time
    words = r"a has 23\.976 frames a second, other 29\.970: use --otio"
    with pytest.raises(Exception, match=words):
        pair_timeline(catalog, pairs, "both", "edl")


def test_a_stretch_within_shots(catalog):
    """What begins and ends inside shots, as the same pictures in two films do, is cut at those very frames."""
    ids = [add(catalog, f"/films/{name}.mp4", FILM) for name in ("a", "other")]
    with catalog.read() as session:
        first, second = (list_scenes(session, movie_id=movie_id) for movie_id in ids)
    start, end = (float(frame / FILM) for frame in (SCENE_FRAMES + 700, 3 * SCENE_FRAMES - 11))
    stretch = replace(first[1], first_shot=1, end_shot=3, start_seconds=start, end_seconds=end)
    text = pair_timeline(catalog, [ScenePair(1, 0.9, stretch, second[0], "duplicate")], "same", "otio")
    span = clips_of(text, "otio", FILM)[0].source_range
    assert (span.start_time.value, span.end_time_exclusive().value) == (SCENE_FRAMES + 700, 3 * SCENE_FRAMES - 11)


def test_names_cannot_write_lines(catalog):
    """A file name with line ends and control characters makes no event or comment of its own."""
    add(catalog, "/films/a\n002  BAD  V  C  00:00:00:00\x1b.mp4", FILM)
    add(catalog, "/films/other.mp4", FILM)
    pairs = found_pairs(catalog, "a", "other")[:1]
    text = pair_timeline(catalog, pairs, "a\nb", "edl")
    assert "\x1b" not in text
    assert [line[:3] for line in text.splitlines() if line[:3].isdigit()] == ["001", "002"]
    assert len(clips_of(text, "edl", FILM)) == 2


def test_an_edl_has_as_many_events_as_it_can_number(catalog):
    """999 events at most: the best 499 pairs; OTIO has them all."""
    add(catalog, "/films/a.mp4", Fraction(25), scenes=520, frames=30)
    add(catalog, "/films/other.mp4", Fraction(25), scenes=510, frames=30)
    pairs = found_pairs(catalog, "a", "other")
    assert len(pairs) == 510
    clips = clips_of(pair_timeline(catalog, pairs, "many", "edl"), "edl", Fraction(25))
    assert len(clips) == 2 * EDL_PAIRS
    assert clips[-1].source_range.start_time.value == 30 * pairs[EDL_PAIRS - 1].b.index
    assert len(clips_of(pair_timeline(catalog, pairs, "many", "otio"), "otio", None)) == 2 * 510


@pytest.mark.parametrize("rate", [FILM, NTSC])
def test_command(tmp_path, m2s, rate):
    """Films that were read from files: the time lines have the frames that ``m2s shots`` says."""
    frames = pictures((20, 31, 25, 22, 24, 19, 33, 21))
    for name, part in (("one", frames[:98]), ("two", frames[98:])):
        write_film(tmp_path / f"{name}.mp4", part, Look(rate=rate))
    options = ("--scene-shots", "2", "--scene-stride", "2", "--catalog", tmp_path / "c")
    assert m2s("index", "build", tmp_path, *options, "--workers", "1").status == 0
    files = {kind: tmp_path / f"p.{kind}" for kind in ("otio", "edl")}
    command = ("pairs", "one", "two", "--keep", "1", "--catalog", tmp_path / "c")
    ran = m2s(*command, "--otio", files["otio"], "--edl", files["edl"], "--json")
    assert ran.status == 0, ran.stderr
    assert f"time line: {files['edl']}" in ran.stderr
    starts = {}
    for name in ("one", "two"):
        shots = m2s("shots", tmp_path / f"{name}.mp4", "--json").json()["shots"]
        starts[name] = [(shots[i]["start_frame"], shots[i + 1]["end_frame"]) for i in (0, 2)]
    expected = [starts[pair[side]["movie"]][pair[side]["index"]] for pair in ran.json()["pairs"] for side in "ab"]
    assert expected
    for kind, path in files.items():
        spans = [clip.source_range for clip in clips_of(path.read_text("utf-8"), kind, rate)]
        assert [(span.start_time.value, span.end_time_exclusive().value) for span in spans] == expected


def test_wrong_usage(catalog, tmp_path, m2s, monkeypatch):
    """No pairs, a folder that is not there, a film whose rate has no timecode, and no OpenTimelineIO: a line each,
    and the last two are said before anything is compared.
    """
    add(catalog, "/films/a.mp4", Fraction(13))
    add(catalog, "/films/other.mp4", Fraction(13))
    here = ("pairs", "a", "other", "--catalog", catalog.folder)
    path = tmp_path / "p.edl"
    for options, status, words in (
        (("--min-score", "2", "--edl", path), 2, "there are no pairs to put on a time line"),
        (("--edl", tmp_path / "no" / "p.edl"), 2, "no: there is no such folder to put p.edl in; make it first"),
        (("--edl", path), 2, "13.000 frames a second cannot be written as EDL"),
    ):
        ran = m2s(*here, *options)
        assert (ran.status, path.exists()) == (status, False)
        assert words in ran.stderr
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    ran = m2s(*here, "--otio", tmp_path / "p.otio")
    assert (ran.status, ran.stdout) == (2, "")
    assert "install the extra 'exports'" in ran.stderr
