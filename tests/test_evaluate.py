"""The evaluation against naive loops over a catalogue, rule by rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, add_encoder, add_label, make_encoder, unit_rows

from m2s_index.catalog import Catalog
from m2s_index.errors import CatalogDamagedError, UsageError
from m2s_index.evaluate import evaluate_retrieval
from m2s_index.evaluation.retrieval_report import EvaluationOptions

COSINE = make_encoder("cosine", 8)
GRID = make_encoder("grid", 3, "l2")
"""Vectors of few small whole numbers: most distances are tied."""


@dataclass
class Item:
    """A scene, as the naive oracle sees it."""

    scene_id: int
    film: str
    vectors: dict[str, np.ndarray]
    labels: dict[str, set[str]] = field(default_factory=dict)


class World:
    """A catalogue, and beside it the same things as plain Python has them."""

    def __init__(self, folder):
        self.catalog = Catalog.open(folder, create=True)
        self.items: list[Item] = []
        self._movies = 0

    def add(self, cosine, grid, film=None):
        """A movie of len(cosine) scenes of ten seconds each; returns its id and its items."""
        self._movies += 1
        movie_id = add(self.catalog, f"/films/m{self._movies}.mp4", cosine, encoder=COSINE)
        add_encoder(self.catalog, movie_id, grid, GRID)
        if film:
            add_label(self.catalog, movie_id, "film", film)
        first = self.items[-1].scene_id + 1 if self.items else 1
        mine = [
            Item(first + i, film or f"movie {movie_id}", {"cosine": cosine[i], "grid": grid[i]})
            for i in range(len(cosine))
        ]
        self.items += mine
        return movie_id, mine

    def label(self, movie_id, mine, index, value, split, vocabulary="place"):
        """Label one scene of a movie."""
        add_label(self.catalog, movie_id, vocabulary, value, index * 10.0, index * 10.0 + 10, split)
        mine[index].labels.setdefault(split, set()).add(value)

    def evaluate(self, encoders=("cosine",), vocabularies=("place",), **options):
        options.setdefault("draws", 20)
        return evaluate_retrieval(self.catalog, vocabularies, encoders, EvaluationOptions(**options))


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "catalog")
    yield made
    made.catalog.close()


@pytest.fixture
def random_world(world):
    """Thirty movies, some of one film, with scenes of none, one or several labels in either split or both."""
    random = np.random.default_rng(4)
    for number in range(30):
        count = int(random.integers(1, 6))
        grid = random.integers(0, 2, (count, 3)).astype(np.float32)
        movie_id, mine = world.add(
            unit_rows(random, count, 8), grid, film=f"tt{number % 20}" if number % 3 else None
        )
        for index in range(count):
            for value in random.choice(["office", "hotel", "prison"], random.integers(0, 3), replace=False):
                for split in random.choice(["val", "train"], random.integers(1, 3), replace=False):
                    world.label(movie_id, mine, index, value, split)
    movie_id, mine = world.add(unit_rows(random, 2, 8), np.zeros((2, 3), np.float32))
    world.label(movie_id, mine, 0, "airport", "val")  # a label that the gallery lacks
    world.label(movie_id, mine, 1, "harbour", "train")  # and one that no query has
    return world


def naive(items, encoder, *, exclude_same_movie):
    """{label: [(p@1, p@5, p@10, R-precision, average precision), one a query]}; "all queries" among them."""
    gallery = [item for item in items if item.labels.get("train")]
    found = {"all queries": []}
    for query in (item for item in items if item.labels.get("val")):
        others = [
            item for item in gallery
            if item.scene_id != query.scene_id and not (exclude_same_movie and item.film == query.film)
        ]  # fmt: skip
        here = query.vectors[encoder].astype(float)
        others.sort(key=lambda item: (float(((item.vectors[encoder] - here) ** 2).sum()), item.scene_id))
        asked = query.labels["val"]
        for label in ["all queries", *asked]:
            wanted = asked if label == "all queries" else {label}
            hits = [bool(item.labels["train"] & wanted) for item in others]
            right = sum(hits)
            at = [sum(hits[:k]) / k for k in (1, 5, 10)]
            ranks = [i + 1 for i, hit in enumerate(hits) if hit]
            average = sum((n + 1) / rank for n, rank in enumerate(ranks)) / right if right else 0
            found.setdefault(label, []).append((*at, sum(hits[:right]) / right if right else 0, average))
    return found


@pytest.mark.parametrize("exclude_same_movie", [False, True])
def test_every_figure_is_that_of_naive_loops(random_world, exclude_same_movie):
    """Rows, all queries and labels alike, for both metrics, with ties, and with and without a query's own film."""
    report = random_world.evaluate(["cosine", "grid"], exclude_same_movie=exclude_same_movie)
    (result,) = report.vocabularies
    for encoder in result.encoders:
        name = encoder.encoder.name
        expected = naive(random_world.items, name, exclude_same_movie=exclude_same_movie)
        rows = {row.label: row for row in (*encoder.rows, encoder.all_queries)}
        assert rows.keys() == expected.keys()
        for label, figures in expected.items():
            measured = [figure.value for figure in rows[label].measures.named().values()]
            np.testing.assert_allclose(measured, 100 * np.mean(figures, axis=0), err_msg=f"{name} {label}")
            assert rows[label].queries == len(figures)
        labels = [np.mean(figures, axis=0) for label, figures in expected.items() if label != "all queries"]
        measured = [figure.value for figure in encoder.over_labels.measures.named().values()]
        np.testing.assert_allclose(measured, 100 * np.mean(labels, axis=0))
        for row, alone in ((encoder.own_film_kept, False), (encoder.own_film_out, True)):
            figures = naive(random_world.items, name, exclude_same_movie=alone)["all queries"]
            measured = [figure.value for figure in row.measures.named().values()]
            np.testing.assert_allclose(measured, 100 * np.mean(figures, axis=0))
    difference = report.vocabularies[0].differences[0]
    first, second = (encoder.all_queries.measures.named() for encoder in result.encoders)
    for name, figure in difference.measures.named().items():
        assert figure.value == pytest.approx(second[name].value - first[name].value, abs=1e-9)
        assert figure.low <= figure.value <= figure.high


def test_figures_do_not_depend_on_how_queries_are_batched(random_world, monkeypatch):
    """One query at a time gives what all at once give, to the bit."""
    whole = random_world.evaluate(["grid"]).vocabularies[0].encoders[0]
    monkeypatch.setattr("m2s_index.evaluation.ranking.DISTANCES_AT_ONCE", 1)
    single = random_world.evaluate(["grid"]).vocabularies[0].encoders[0]
    assert single.rows == whole.rows
    np.testing.assert_array_equal(single.nearest, whole.nearest)


@pytest.mark.parametrize("exclude_same_movie", [False, True])
@pytest.mark.parametrize("encoder", ["cosine", "grid"])
def test_the_nearest_alone_are_those_of_the_whole_ranking(random_world, encoder, exclude_same_movie, monkeypatch):
    """Precision and what is found are the same to the bit; what needs the whole ranking is not given."""
    options = {"encoders": [encoder], "exclude_same_movie": exclude_same_movie}
    whole = random_world.evaluate(**options).vocabularies[0].encoders[0]
    monkeypatch.setattr("m2s_index.evaluation.ranking.QUERIES_AT_ONCE", 7)
    top = random_world.evaluate(**options, top_only=True).vocabularies[0].encoders[0]
    np.testing.assert_array_equal(top.nearest, whole.nearest)
    for one, other in zip((*top.rows, top.over_labels), (*whole.rows, whole.over_labels), strict=True):
        assert one.measures.precision == other.measures.precision
        assert (one.relevant, one.chance) == (other.relevant, other.chance)
        assert list(one.measures.named()) == ["p@1", "p@5", "p@10"]


def test_equal_vectors_are_ordered_by_id(world):
    """Of scenes with the very same vector the one with the lower id comes first, for vectors of any numbers."""
    random = np.random.default_rng(0)
    for split, count in (("val", 30), ("train", 200)):
        rows = np.repeat(unit_rows(random, count // 10, 8), 10, axis=0)[random.permutation(count)]
        movie_id, mine = world.add(rows, np.zeros((count, 3), np.float32))
        for index in range(count):
            world.label(movie_id, mine, index, "office", split)
    result = world.evaluate().vocabularies[0]
    vectors = {item.scene_id: item.vectors["cosine"].tobytes() for item in world.items}
    for nearest in result.encoders[0].nearest.tolist():
        for earlier, later in pairwise(nearest):
            assert vectors[earlier] != vectors[later] or earlier < later
    assert all(len({vectors[i] for i in nearest[:10]}) == 1 for nearest in result.encoders[0].nearest.tolist())


def test_a_gallery_smaller_than_k(world):
    """What is missing of k counts as wrong, chance is the share of what is there, and a note says so."""
    one = np.eye(8, dtype=np.float32)[:1]
    for split in ("val", "train", "train"):
        movie_id, mine = world.add(one, one[:, :3])
        world.label(movie_id, mine, 0, "office", split)
    result = world.evaluate().vocabularies[0]
    row = result.encoders[0].all_queries
    assert [figure.value for figure in row.measures.named().values()] == [100, 40, 20, 100, 100]
    assert (row.relevant, row.chance, row.queries) == (2, 100, 1)
    assert row.measures.at(1).low is None
    assert any("only 2 scenes" in note for note in result.notes())


def test_labels_that_the_gallery_lacks(random_world):
    """Their queries score 0, count among all queries, and are noted."""
    result = random_world.evaluate().vocabularies[0]
    row = {row.label: row for row in result.encoders[0].rows}["airport"]
    assert (row.queries, row.relevant, row.chance) == (1, 0, 0)
    assert {figure.value for figure in row.measures.named().values()} == {0}
    assert any("'airport'" in note for note in result.notes())
    assert "harbour" not in result.splits.values


def test_splits_named_all_take_every_label(world):
    """Each labelled scene asks for all the others, whatever split its label has, or none."""
    rows = unit_rows(np.random.default_rng(1), 4, 8)
    movie_id, mine = world.add(rows, rows[:, :3])
    for index, split in enumerate(("val", "train", None, "test")):
        world.label(movie_id, mine, index, "office", split)
    result = world.evaluate(query_split="all", gallery_split="all").vocabularies[0]
    assert len(result.splits.queries) == len(result.splits.gallery) == 4
    row = result.encoders[0].all_queries
    assert row.measures.at(1).value == row.measures.mean_average_precision.value == 100
    assert row.chance == 100
    assert result.own_film_queries == 4


def test_scenes_carry_labels_by_their_middle(world):
    """A label of a stretch is on the scenes whose middle it covers, one without times on all of them."""
    rows = unit_rows(np.random.default_rng(1), 3, 8)
    movie_id, _ = world.add(rows, rows[:, :3])
    add_label(world.catalog, movie_id, "place", "office", 6, 25.1, "val")
    other, _ = world.add(rows, rows[:, :3])
    add_label(world.catalog, other, "place", "office", split="train")
    splits = world.evaluate().vocabularies[0].splits
    assert splits.queries.scene_ids.tolist() == [2, 3]
    assert splits.gallery.scene_ids.tolist() == [4, 5, 6]


def test_films_that_an_encoder_was_not_run_on_are_left_out_for_all(random_world):
    """They are named, and every encoder is measured on the same scenes."""
    sql(
        random_world.catalog.folder,
        "DELETE FROM embeddings WHERE movie_id = 1 AND encoder_id = (SELECT id FROM encoders WHERE name = 'grid')",
    )
    report = random_world.evaluate(["cosine", "grid"])
    assert [(left.encoder, left.movies) for left in report.left_out] == [("grid", ("m1",))]
    gone = {row[0] for row in sql(random_world.catalog.folder, "SELECT id FROM scenes WHERE movie_id = 1")}
    rest = [item for item in random_world.items if item.scene_id not in gone]
    for encoder in report.vocabularies[0].encoders:
        expected = naive(rest, encoder.encoder.name, exclude_same_movie=False)["all queries"]
        measured = [figure.value for figure in encoder.all_queries.measures.named().values()]
        np.testing.assert_allclose(measured, 100 * np.mean(expected, axis=0))
    assert random_world.evaluate(["cosine"]).left_out == ()


def test_nothing_left_to_compare(world):
    """An encoder that was run on no labelled film is refused, with what to run."""
    rows = unit_rows(np.random.default_rng(1), 2, 8)
    for split in ("val", "train"):
        movie_id, mine = world.add(rows, rows[:, :3])
        world.label(movie_id, mine, 0, "office", split)
    sql(world.catalog.folder, "DELETE FROM embeddings WHERE encoder_id = 2")
    with pytest.raises(UsageError, match=r"2 movies lack encoder 'grid'; run 'm2s index build"):
        world.evaluate(["cosine", "grid"])


def test_vectors_that_are_no_numbers(world):
    """They are refused, with the film and the encoder."""
    rows = unit_rows(np.random.default_rng(1), 2, 8)
    for split in ("val", "train"):
        movie_id, mine = world.add(rows, rows[:, :3])
        world.label(movie_id, mine, 1, "office", split)
        rows = rows * np.float32(np.nan)
    with pytest.raises(CatalogDamagedError, match=r"movie 2 \(m2\) by 'cosine' hold numbers that are not finite"):
        world.evaluate()


@pytest.mark.parametrize(
    ("vocabulary", "options", "words"),
    [
        ("mood", {}, "no scene carries a label of 'mood'; the catalogue has labels of: film, place"),
        ("place", {"query_split": "test"}, "in the split 'test'; there are: train, val"),
        ("place", {"gallery_split": ""}, "in the split ''; there are: train, val"),
    ],
)
def test_what_is_not_there_is_named(random_world, vocabulary, options, words):
    """An unknown vocabulary, or a split without scenes, is refused with those there are."""
    with pytest.raises(UsageError, match=words):
        random_world.evaluate(vocabularies=[vocabulary], **options)


def test_a_clip_of_two_films(world):
    """Labels that put a clip into two films contradict each other."""
    rows = unit_rows(np.random.default_rng(1), 1, 8)
    movie_id, mine = world.add(rows, rows[:, :3], film="tt1")
    add_label(world.catalog, movie_id, "film", "tt2")
    world.label(movie_id, mine, 0, "office", "val")
    world.label(movie_id, mine, 0, "office", "train")
    with pytest.raises(UsageError, match=r"movie 1 \(m1\) is labelled as of two films, 'tt1' and 'tt2'"):
        world.evaluate()


def test_vectors_of_zeros_are_far_from_everything(world):
    """Under cosine a vector without direction is orthogonal to all, as it is for a query."""
    rows = np.array([[1, 0], [0, 0], [-1, 0.1], [0.1, 1]], np.float32)
    rows = np.pad(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), ((0, 0), (0, 6)))
    movie_id, mine = world.add(rows, rows[:, :3])
    for index, split in enumerate(("val", "train", "train", "train")):
        world.label(movie_id, mine, index, "office", split)
    assert world.evaluate().vocabularies[0].encoders[0].nearest.tolist() == [[4, 2, 3]]
