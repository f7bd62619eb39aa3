"""Labels as others have them: LVU's own files, and folders of films whose names are the label."""

from __future__ import annotations

import shutil

import pytest
from catalog_contents import sql

from m2s_index.errors import UsageError
from m2s_index.label_files import FileLabel, read_labels
from m2s_index.lvu import TASKS, find_clips, read_lvu, task_files

CLASSES = "class_id class_name youtube_id imdb_id\n"


@pytest.fixture
def lvu(shared_data):
    """The published label files."""
    folder = shared_data / "annotations" / "lvu_1.0"
    if not folder.exists():
        pytest.skip(f"no {folder}")
    return folder


@pytest.fixture
def written(tmp_path):
    """Write a file of LVU's; returns its path."""

    def write(text, name="scene/val.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_all_nine_tasks_of_lvu(lvu):
    """The folder of all tasks gives each line's label and the film it is of, in three splits."""
    labels = read_labels(lvu)
    counted = {}
    for label in labels:
        counted[label.vocabulary] = counted.get(label.vocabulary, 0) + 1
    tasks = {"place": 763, "relationship": 244, "way_speaking": 1345, "director": 950, "genre": 4307,
             "writer": 1111, "year": 1078, "like_ratio": 940, "view_count": 827}  # fmt: skip
    assert counted == {**tasks, "film": sum(tasks.values())}
    assert {label.split for label in labels if label.vocabulary != "film"} == {"train", "val", "test"}
    assert FileLabel("3D2hC2C_Wpw", "stem", None, None, "place", "office", "val", "LVU scene/val.csv") in labels
    assert FileLabel("3D2hC2C_Wpw", "stem", None, None, "film", "tt0420757", None, "LVU scene/val.csv") in labels


def test_the_place_task_has_the_papers_queries(lvu):
    """120 queries, 46 of them of films that the gallery has clips of too."""
    val, train = (read_lvu(lvu / "scene" / f"{split}.csv") for split in ("val", "train"))
    places = {place: sum(clip.value == place for clip in val) for place in dict.fromkeys(c.value for c in val)}
    assert list(places) == ["office", "airport", "school", "hotel", "prison", "restaurant"]
    assert sum(places.values()) == 120
    assert sum(clip.film in {other.film for other in train} for clip in val) == 46


def test_numbers_of_the_regression_tasks(lvu):
    """Likes become their share, views stay a number."""
    assert read_lvu(lvu / "like_ratio" / "val.csv")[0].value == f"{100410 / (100410 + 3572):.6f}"
    assert read_lvu(lvu / "view_count" / "val.csv")[0].value == "1004143"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CLASSES + "0 office abc tt1\n0 office abc\n", r"line 3: 3 fields"),
        (CLASSES + "0 big office abc tt1\n", r"line 2: 5 fields"),
        ("view_count youtube_id imdb_id\nmany abc tt1\n", r"line 2: 'many' is no number"),
        ("like_count dislike_count youtube_id imdb_id\n0 0 abc tt1\n", r"line 2: 0 likes and 0 dislikes"),
    ],
)
def test_lines_that_make_no_sense(written, text, words):
    """They are refused, with the file and the line."""
    with pytest.raises(UsageError, match=words):
        read_labels(written(text))


def test_a_file_of_unknown_format(written, catalog_folder, m2s):
    """Neither LVU's nor ours: the columns that it has are said."""
    ran = m2s("labels", "import", written("id tag video\n1 a b\n"), "--catalog", catalog_folder)
    assert ran.status == 2
    assert "no column movie" in ran.stderr
    assert "id tag video" in ran.stderr


def test_a_file_that_does_not_say_what_it_is(written):
    """Of a file elsewhere the vocabulary and the split have to be said."""
    path = written(CLASSES + "0 office abc tt1\n\n", "other/mine.csv")
    with pytest.raises(UsageError, match="--vocabulary and --split"):
        read_labels(path)
    label, film = read_labels(path, vocabulary="room", split="dev")
    assert (label.vocabulary, label.value, label.split) == ("room", "office", "dev")
    assert (film.vocabulary, film.value, film.split) == ("film", "tt1", None)


def test_video_ids_are_matched_by_case(written, catalog_folder, m2s):
    """Ids that differ by case are different clips."""
    path = written(CLASSES + "0 office Short tt1\n1 hotel short tt2\n")
    ran = m2s("labels", "import", path, "--catalog", catalog_folder)
    assert (ran.status, ran.stderr) == (1, "labels: no film is called 'short'\n")
    labels = sql(catalog_folder, "SELECT vocabulary, value, split FROM labels ORDER BY id")
    assert labels == [("place", "office", "val"), ("film", "tt1", None)]


def test_folders_that_name_the_label(films, m2s, tmp_path):
    """A film's folder is its label, one above it called as a split is its split; equal file names do not mix."""
    for target, name in (
        ("train/office/a.mp4", "Short"), ("validation/office/b.mp4", "Gamma (1992)"),
        ("train/beach/a.mp4", "Alpha Beach (1990)"),
    ):  # fmt: skip
        path = tmp_path / "places" / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(films / f"{name}.mp4", path)
    (tmp_path / "places" / "train" / "office" / "notes.txt").write_text("no film")
    catalog = tmp_path / "catalog"
    assert m2s("index", "build", tmp_path / "places", "--catalog", catalog, "--workers", "1").status == 0
    command = ("labels", "import", tmp_path / "places", "--catalog", catalog)
    assert "--vocabulary" in m2s(*command).stderr
    ran = m2s(*command, "--vocabulary", "place")
    assert (ran.status, ran.stderr) == (0, "")
    found = sql(
        catalog,
        "SELECT CAST(path AS TEXT), value, split FROM labels JOIN movies ON movies.id = movie_id "
        "WHERE vocabulary = 'place'",
    )
    start = len(str(tmp_path / "places")) + 1
    assert {(path[start:], value, split) for path, value, split in found} == {
        ("train/office/a.mp4", "office", "train"),
        ("validation/office/b.mp4", "office", "val"),
        ("train/beach/a.mp4", "beach", "train"),
    }


def test_folders_in_which_something_is_missing(tmp_path):
    """A folder without films, and films without a folder that names their label, are refused."""
    with pytest.raises(UsageError, match="neither LVU's label files nor films"):
        read_labels(tmp_path, vocabulary="place")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.mp4").touch()
    with pytest.raises(UsageError, match=r"a\.mp4: it lies in no folder that names its label"):
        read_labels(tmp_path, vocabulary="place")


def test_films_of_folders_that_the_catalogue_lacks(catalog_folder, tmp_path, m2s):
    """They are named by their path."""
    (tmp_path / "office").mkdir()
    (tmp_path / "office" / "Short.mp4").touch()
    command = ("labels", "import", tmp_path, "--vocabulary", "place", "--catalog", catalog_folder)
    ran = m2s(*command, "--split", "val")
    assert ran.status == 1
    assert f"no film is called '{tmp_path / 'office' / 'Short.mp4'}'" in ran.stderr


def test_tasks_for_retrieval(lvu, tmp_path):
    """Tasks with classes have files of three splits; regressions, unknown tasks and other folders are refused."""
    for task in TASKS.keys() - {"like_ratio", "view_count"}:
        assert list(task_files(lvu, task)) == ["train", "val", "test"]
    for task in ("like_ratio", "view_count"):
        with pytest.raises(UsageError, match="regression"):
            task_files(lvu, task)
    with pytest.raises(UsageError, match="choose one of scene, "):
        task_files(lvu, "place")
    with pytest.raises(UsageError, match=r"train\.csv: no label file of LVU; --labels names"):
        task_files(tmp_path, "scene")


def test_clips_are_found_by_their_id(tmp_path):
    """In folders too, whatever their ending; not in other case, and not what is no video."""
    for name in ("b/-x_1.webm", "a/-x_1.mp4", "Abc.mp4", "xyz.txt", "other.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_clips(tmp_path, ["-x_1", "abc", "xyz", "gone"])
    assert found == {"-x_1": tmp_path / "a" / "-x_1.mp4"}
