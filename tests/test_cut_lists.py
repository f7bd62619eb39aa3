"""Cut lists: shots to and from other tools."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from film_factory import Look, pictures, write_film

from m2s_index.cut_lists import find_list, list_name, read_cut_list
from m2s_index.errors import UsageError
from m2s_index.shots import Boundary
from m2s_index.timelines import write_timeline
from m2s_index.types import Shot, VideoInfo

FILM = Fraction(24000, 1001)
NTSC = Fraction(30000, 1001)
LENGTHS = (20, 31, 25)


def info(rate: Fraction, frames: int | None = None) -> VideoInfo:
    """A stream of that rate whose time base is one frame."""
    return VideoInfo("mp4", "h264", 160, 90, Fraction(1), 0, 1 / rate, rate, 0, frames, frames, 0)


def shots_of(*edges: int) -> list[Shot]:
    """Shots between these frames, in units of a frame."""
    return [
        Shot(i, start, end, start, end, "cut" if i else "start") for i, (start, end) in enumerate(pairwise(edges))
    ]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A film of three shots at 23.976 frames a second."""
    return write_film(tmp_path / "small.mp4", pictures(LENGTHS), Look(rate=FILM))


@pytest.mark.parametrize("rate", [FILM, NTSC, Fraction(24), Fraction(25), Fraction(60000, 1001)])
@pytest.mark.parametrize("kind", ["edl", "otio"])
def test_a_time_line_gives_back_every_boundary_to_the_frame(tmp_path, rate, kind):
    """Over two hours, across every minute at which drop-frame timecode skips numbers."""
    edges = [0, *(frame + step for frame in range(1790, 215_000, 1798) for step in (0, 7)), 215_784]
    shots = [
        replace(shot, transition=kind_of, transition_start_frame=shot.start_frame - 5, transition_end_frame=start)
        if (kind_of := ("cut", "fade", "dissolve")[shot.index % 3]) != "cut" and (start := shot.start_frame)
        else shot
        for shot in shots_of(*edges)
    ]
    path = tmp_path / f"long.{kind}"
    path.write_text(write_timeline(shots, "long", tmp_path / "long.mp4", info(rate), kind))
    cut_list = read_cut_list(path, info(rate, 215_784))
    assert list(cut_list.boundaries) == [
        Boundary(s.start_frame, s.transition, s.transition_start_frame, s.transition_end_frame) for s in shots[1:]
    ]
    assert cut_list.end == edges[-1]


def test_drop_frame_timecode_is_that_of_the_standard(tmp_path):
    """Frame 1800 of 29.97 is 00:01:00;02, frame 17982 is 00:10:00;00 (SMPTE 12M)."""
    text = write_timeline(shots_of(0, 1800, 17982, 18000), "x", tmp_path / "x.mp4", info(NTSC), "edl")
    assert "FCM: DROP FRAME" in text
    assert "00:00:00;00 00:01:00;02" in text
    assert "00:01:00;02 00:10:00;00" in text
    plain = write_timeline(shots_of(0, 1800), "x", tmp_path / "x.mp4", info(Fraction(24)), "edl")
    assert "FCM: NON-DROP FRAME" in plain


@pytest.mark.parametrize("kind", ["csv", "edl", "otio"])
def test_shots_that_go_out_come_back_the_same(m2s, film, tmp_path, kind):
    out = m2s("shots", film, "--format", kind)
    assert out.status == 0, out.stderr
    (tmp_path / f"list.{kind}").write_text(out.stdout)
    again = m2s("shots", film, "--shots-from", tmp_path / f"list.{kind}", "--json")
    found = json.loads(again.stdout)
    assert [s["start_frame"] for s in found["shots"]] == [0, 20, 51]
    assert found["shots"][-1]["end_frame"] == sum(LENGTHS)
    assert found["detector"].startswith("list:")


@pytest.mark.parametrize("rate", [FILM, NTSC])
@pytest.mark.parametrize("kind", ["csv", "edl", "otio"])
def test_transitions_and_their_extents_go_out_and_come_back(m2s, tmp_path, rate, kind):
    film = write_film(tmp_path / "small.mp4", pictures(LENGTHS), Look(rate=rate))
    seconds = [round(float(frame / rate), 6) for frame in (20, 51, 76)]
    (tmp_path / "first.csv").write_text(
        "start_frame,end_frame,start_seconds,end_seconds,transition,transition_start_frame,transition_end_frame\n"
        f"0,20,0.0,{seconds[0]},start,,\n"
        f"20,51,{seconds[0]},{seconds[1]},dissolve,9,20\n"
        f"51,76,{seconds[1]},{seconds[2]},fade,44,51\n"
    )
    out = m2s("shots", film, "--shots-from", tmp_path / "first.csv", "--format", kind)
    assert out.status == 0, out.stderr
    (tmp_path / f"again.{kind}").write_text(out.stdout)
    shots = m2s("shots", film, "--shots-from", tmp_path / f"again.{kind}", "--json").json()["shots"]
    fields = ("start_frame", "end_frame", "transition", "transition_start_frame", "transition_end_frame")
    assert [tuple(shot[field] for field in fields) for shot in shots] == [
        (0, 20, "start", None, None),
        (20, 51, "dissolve", 9, 20),
        (51, 76, "fade", 44, 51),
    ]


def test_an_edl_cuts_where_the_film_dissolves_and_says_so_in_a_comment(tmp_path):
    """The dissolve is in the picture: an editor that made it again would show it twice."""
    first, second = shots_of(0, 20, 76)
    second = replace(second, transition="dissolve", transition_start_frame=12, transition_end_frame=20)
    text = write_timeline([first, second], "x", tmp_path / "x.mp4", info(Fraction(24)), "edl")
    events = [line.split()[3] for line in text.splitlines() if line[:1].isdigit()]
    assert events == ["C", "C"]
    assert "* BEGINS WITH DISSOLVE, 8 FRAMES" in text.splitlines()


def test_the_name_of_a_film_adds_no_line_to_an_edl(tmp_path):
    """A file name may hold a line break."""
    text = write_timeline(shots_of(0, 20), "x\n002  AX V C", tmp_path / "x.mp4", info(Fraction(24)), "edl")
    assert text.splitlines()[:2] == ["TITLE: x�002  AX V C", "FCM: NON-DROP FRAME"]


def test_the_dissolves_and_wipes_of_an_edl_are_gradual(tmp_path):
    """In CMX 3600 a transition begins at its event's start and takes so many frames of it; ``D 000`` is a cut."""
    path = tmp_path / "x.edl"
    path.write_text(
        "TITLE: x\nFCM: NON-DROP FRAME\n"
        "001  AX V C        01:00:00:00 01:00:02:00 01:00:00:00 01:00:02:00\n"
        "002  AX V C        01:00:02:00 01:00:02:00 01:00:02:00 01:00:02:00\n"
        "002  BX V D    012 01:00:02:00 01:00:05:00 01:00:02:00 01:00:05:00\n"
        "003  BX V C        01:00:05:00 01:00:05:00 01:00:05:00 01:00:05:00\n"
        "003  AX V W001 010 01:00:05:00 01:00:07:00 01:00:05:00 01:00:07:00\n"
        "004  AX V C        01:00:07:00 01:00:07:00 01:00:07:00 01:00:07:00\n"
        "004  BX V D    000 01:00:07:00 01:00:08:00 01:00:07:00 01:00:08:00\n"
    )
    assert read_cut_list(path, info(Fraction(24), 192)).boundaries == (
        Boundary(60, "dissolve", 48, 60),
        Boundary(130, "dissolve", 120, 130),
        Boundary(168, "cut"),
    )


def test_the_transitions_of_an_otio_time_line_reach_to_both_sides_of_their_cut(tmp_path):
    otio = pytest.importorskip("opentimelineio")
    text = write_timeline(shots_of(0, 20, 76), "x", tmp_path / "x.mp4", info(NTSC), "otio")
    timeline = otio.adapters.read_from_string(text, "otio_json")
    before, after = (otio.opentime.RationalTime(frames, float(NTSC)) for frames in (5, 7))
    timeline.tracks[0].insert(1, otio.schema.Transition("mix", "SMPTE_Dissolve", before, after))
    (tmp_path / "x.otio").write_text(otio.adapters.write_to_string(timeline, "otio_json"))
    assert read_cut_list(tmp_path / "x.otio", info(NTSC, 76)).boundaries == (Boundary(27, "dissolve", 15, 27),)


def test_a_list_that_begins_within_the_film_makes_a_shot_of_what_it_leaves_out(tmp_path):
    (tmp_path / "x.csv").write_text(own_csv((10, 20), (20, 76)).replace("cut", "start", 1))
    assert read_cut_list(tmp_path / "x.csv", info(FILM, 76)).boundaries == (
        Boundary(10, "cut"),
        Boundary(20, "cut"),
    )


def test_options_of_detection_beside_a_list_are_wrong_usage(m2s, film, tmp_path):
    (tmp_path / "list.csv").write_text(own_csv((0, 20), (20, 76)))
    for option in (("--detector", "adaptive"), ("--min-shot", "0")):
        result = m2s("shots", film, "--shots-from", tmp_path / "list.csv", *option)
        assert (result.status, result.stdout) == (2, "")
        assert "leave out --detector and --min-shot" in result.stderr


def test_pyscenedetects_own_list_is_read_as_it_means_it(tmp_path):
    """Its frames count from 1 and its end frames are the last ones."""
    scenedetect = pytest.importorskip("scenedetect")
    from scenedetect.output import write_scene_list

    film = write_film(tmp_path / "film.mp4", pictures((30, 40, 36)), Look(rate=FILM))
    scenes = scenedetect.detect(str(film), scenedetect.ContentDetector(min_scene_len=10))
    assert len(scenes) == 3
    with (tmp_path / "film-Scenes.csv").open("w", newline="") as file:
        write_scene_list(file, scenes)
    path = find_list(tmp_path, film)
    assert path is not None
    assert path.name == "film-Scenes.csv"
    cut_list = read_cut_list(path, info(FILM, 106))
    assert cut_list.boundaries == (Boundary(30, "cut"), Boundary(70, "cut"))
    assert cut_list.end == 106


def test_a_build_takes_shots_from_a_folder_of_lists_and_keeps_to_them(m2s, film, tmp_path):
    films, lists, catalog = tmp_path / "films", tmp_path / "lists", tmp_path / "catalog"
    films.mkdir()
    lists.mkdir()
    shutil.copy(film, films / "small.mp4")
    listed = shots_of(0, 33, 60, 76)
    listed[1] = replace(listed[1], transition="fade", transition_start_frame=21, transition_end_frame=33)
    (lists / "small.edl").write_text(write_timeline(listed, "small", film, info(FILM), "edl"))
    built = m2s("index", "build", films, "--catalog", catalog, "--shots-from", lists, "--json")
    assert json.loads(built.stdout)["shots"] == 3, built.stderr
    from m2s_index.catalog import Catalog
    from m2s_index.movies import list_movies, list_shots

    with Catalog.open(catalog) as opened, opened.read() as session:
        (movie,) = list_movies(session)
        stored = list_shots(session, movie.movie_id)
    assert [shot.start_frame for shot in stored] == [0, 33, 60]
    assert [shot.transition for shot in stored] == ["start", "fade", "cut"]
    assert (stored[1].transition_start_frame, stored[1].transition_end_frame) == (21, 33)
    again = json.loads(m2s("index", "build", films, "--catalog", catalog, "--json").stdout)
    assert again["movies"]["unchanged"] == 1
    (lists / "small.edl").write_text(write_timeline(shots_of(0, 40, 76), "small", film, info(FILM), "edl"))
    changed = m2s("index", "build", films, "--catalog", catalog, "--shots-from", lists, "--json")
    assert json.loads(changed.stdout)["shots"] == 2


def own_csv(*rows: tuple[int, int]) -> str:
    """A list as ``m2s shots --csv`` writes it, the seconds at 23.976."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["index", "start_frame", "end_frame", "start_seconds", "end_seconds", "transition"])
    for index, (start, end) in enumerate(rows):
        writer.writerow([index, start, end, float(start / FILM), float(end / FILM), "cut"])
    return out.getvalue()


def gradual_csv(second: str, third: str = "cut,,") -> str:
    """A list as ``m2s shots --csv`` writes it, and what its second and third shot begin with."""
    return (
        "index,start_frame,end_frame,start_seconds,end_seconds,transition,transition_start_frame,"
        "transition_end_frame\n"
        "0,0,20,0.0,0.834167,start,,\n"
        f"1,20,51,0.834167,2.127125,{second}\n"
        f"2,51,76,2.127125,3.169833,{third}\n"
    )


def otio_with(metadata: dict[str, object]) -> str:
    """An OTIO list whose second shot, from frame 20 on, has this said of it."""
    timeline = json.loads(write_timeline(shots_of(0, 20, 76), "x", Path("x.mp4"), info(FILM), "otio"))
    timeline["tracks"]["children"][0]["children"][1]["metadata"]["m2s"] = metadata
    return json.dumps(timeline)


BAD_LISTS = {
    "beyond.csv": (own_csv((0, 50), (50, 900)), "another film"),
    "overlap.csv": (own_csv((0, 50), (40, 76)), "line 3: the shot starts at frame 40 and overlaps"),
    "backwards.csv": (own_csv((0, 0), (50, 76)), "line 2: the shot ends at frame 0"),
    "wipe.csv": (gradual_csv("wipe,12,20"), "line 3: 'wipe' is no transition; there are start, cut, fade, diss"),
    "empty-fade.csv": (gradual_csv("fade,,"), "line 3: a fade without its extent"),
    "half-fade.csv": (gradual_csv("fade,12,"), "line 3: not a cut list .*invalid literal"),
    "long-cut.csv": (gradual_csv("cut,12,20"), "line 3: a cut that takes frames"),
    "late.csv": (gradual_csv("fade,12,23"), r"line 3: a fade from frame 12 to 23; .* where the shot starts \(20\)"),
    "inside-out.csv": (gradual_csv("fade,20,20"), "line 3: a fade from frame 20 to 20"),
    "outside.csv": (gradual_csv("fade,-2,20"), "line 3: the fade starts at frame -2, before"),
    "over.csv": (gradual_csv("fade,12,20", "dissolve,19,51"), "line 4: the dissolve starts at frame 19, before"),
    "again.csv": (gradual_csv("start,,"), "line 3: 'start' is what the first shot begins with"),
    "short.csv": (gradual_csv("cut,,") + "3,76\n", "line 5: not a cut list .*no 'end_frame'"),
    "half-frame.csv": (gradual_csv("cut,,").replace(",51,", ",50.5,"), "line 3: not a cut list"),
    "wipe.otio": (otio_with({"transition": "wipe"}), "shot 2: 'wipe' is no transition"),
    "outside.otio": (
        otio_with({"transition": "fade", "transition_frames": 30}),
        "shot 2: the fade starts at .* -10",
    ),
    "odd.otio": (otio_with({"transition": "fade", "transition_frames": "x"}), "cannot be read as OTIO"),
    "empty.csv": (own_csv(), "no shots"),
    "other.csv": ("a,b\n1,2\n", "no column 'start_frame'"),
    "words.csv": ("start_frame,end_frame,start_seconds,end_seconds\nx,y,z,w\n", "not a cut list"),
    "garbage.edl": ("TITLE: x\n001 nonsense V C 99:99:99:99 oops\n", "cannot be read as EDL"),
    "nothing.edl": ("hello", "no shots|cannot be read"),
    "garbage.otio": ("{not json", "cannot be read as OTIO"),
    "list.txt": ("0\n20\n", "ends in .csv"),
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_a_list_that_makes_no_sense_is_refused_with_the_reason(tmp_path, name):
    text, reason = BAD_LISTS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=reason) as raised:
        read_cut_list(tmp_path / name, info(FILM, 76))
    assert name in str(raised.value)


def test_a_list_at_another_rate_is_refused(tmp_path):
    otio = tmp_path / "x.otio"
    otio.write_text(write_timeline(shots_of(0, 20, 76), "x", tmp_path / "x.mp4", info(Fraction(25)), "otio"))
    with pytest.raises(UsageError, match=r"made at 25.000 frames a second, but the film has 23.976"):
        read_cut_list(otio, info(FILM, 76))
    edl = tmp_path / "x.edl"
    edl.write_text(write_timeline(shots_of(0, 20, 76), "x", tmp_path / "x.mp4", info(NTSC), "edl"))
    with pytest.raises(UsageError, match="drop-frame"):
        read_cut_list(edl, info(Fraction(25), 76))
    scenes = tmp_path / "x.csv"
    columns = "Scene Number,Start Frame,Start Time (seconds),End Frame,End Time (seconds)"
    scenes.write_text(f"{columns}\n1,1,0.000,50,2.000\n")
    with pytest.raises(UsageError, match=r"made at 25.000"):
        read_cut_list(scenes, info(FILM, 76))


def test_a_cut_beyond_the_decoded_end_is_found_out_while_reading(m2s, film, tmp_path):
    """The container's length allows a second; the decoder knows exactly."""
    (tmp_path / "list.csv").write_text(own_csv((0, 20), (20, 80), (80, 84)))
    result = m2s("shots", film, "--shots-from", tmp_path / "list.csv")
    assert result.status == 2
    assert "a shot begins at frame 80, where the film has ended" in result.stderr


def test_bytes_that_are_no_text_are_no_list(tmp_path):
    (tmp_path / "x.edl").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match="no UTF-8 text"):
        read_cut_list(tmp_path / "x.edl", info(FILM, 76))


def test_a_missing_list_is_named(m2s, film, tmp_path):
    (tmp_path / "lists").mkdir()
    result = m2s("shots", film, "--shots-from", tmp_path / "lists")
    assert result.status == 2
    assert "no cut list is called 'small'" in result.stderr


def test_equal_lists_have_equal_names(tmp_path):
    (tmp_path / "a.csv").write_text(own_csv((0, 20)))
    (tmp_path / "b.csv").write_text(own_csv((0, 20)))
    (tmp_path / "c.csv").write_text(own_csv((0, 21)))
    assert list_name(tmp_path / "a.csv") == list_name(tmp_path / "b.csv") != list_name(tmp_path / "c.csv")


@pytest.mark.parametrize("cell", ["nan", "inf", "9" * 200_000])
def test_a_frame_that_is_no_number_is_no_list(tmp_path, cell):
    """Whatever Python's own float or csv module makes of it."""
    (tmp_path / "x.csv").write_text(f"start_frame,end_frame,start_seconds,end_seconds\n0,{cell},0,1\n")
    with pytest.raises(UsageError, match="not a cut list"):
        read_cut_list(tmp_path / "x.csv", info(FILM, 76))


def test_our_own_list_of_a_film_at_another_rate_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text(own_csv((0, 20), (20, 70)))
    with pytest.raises(UsageError, match=r"made at 23.976 frames a second, but the film has 29.970"):
        read_cut_list(tmp_path / "x.csv", info(NTSC, 76))


def test_films_without_a_list_are_named_and_a_folder_without_any_is_refused(m2s, film, tmp_path):
    films, lists = tmp_path / "films", tmp_path / "lists"
    films.mkdir()
    lists.mkdir()
    shutil.copy(film, films / "one.mp4")
    write_film(films / "two.mp4", pictures((24, 40)), Look(rate=FILM))
    none = m2s("index", "build", films, "--catalog", tmp_path / "c", "--shots-from", lists)
    assert none.status == 2
    assert "no cut list is called as any of the 2 films is" in none.stderr
    (lists / "one.csv").write_text(own_csv((0, 20), (20, 76)))
    one = m2s("index", "build", films, "--catalog", tmp_path / "c", "--shots-from", lists)
    assert one.status == 0
    assert "no cut list for two.mp4: cut by adaptive" in one.stderr
    write_film(films / "three.mp4", pictures((30, 30)), Look(rate=FILM))
    more = m2s("index", "build", films, "--catalog", tmp_path / "c", "--shots-from", lists)
    assert more.status == 0, "a new film without a list does not undo that others have one"
    assert "no cut list for three.mp4" in more.stderr
