"""Pairs of all films: found, kept, shown, gone on with after a kill, and refused where they cannot be."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, add_encoder, make_encoder, unit_rows

from m2s_index.catalog import Catalog
from m2s_index.matrices import find_encoder
from m2s_index.matrix_writer import use_encoder
from m2s_index.movies import remove_movie
from m2s_index.pairing.film_pairs import PairOptions, film_pairs

FILMS = {
    "ant": (1990, ("Drama",)), "bee": (1991, ("Drama", "Comedy")), "cat": (2001, ("Comedy",)), "dog": (2002, ()),
    "elk": (None, ("Drama",)),
}  # fmt: skip
ENCODER = make_encoder(dimension=6)


@pytest.fixture
def folder(tmp_path):
    """Five films of some scenes each, in a space of 6 dimensions."""
    random = np.random.default_rng(8)
    with Catalog.open(tmp_path / "five", create=True) as catalog:
        for name, (year, genres) in FILMS.items():
            vectors = unit_rows(random, int(random.integers(3, 9)), 6)
            add(catalog, f"/{name}.mp4", vectors, encoder=ENCODER, year=year, genres=genres, title=name.title())
    return tmp_path / "five"


def of_two_films(folder, films=FILMS, **options):
    """All pairs of each two of the films, together, best first: (score, scene, scene)."""
    found = []
    with Catalog.open(folder) as catalog:
        for a, b in combinations(films, 2):
            pairs = film_pairs(catalog, a, b, PairOptions(**options)).pairs
            found += [(-pair.score, pair.a.scene_id, pair.b.scene_id) for pair in pairs]
    return [(-score, a, b) for score, a, b in sorted(found)]


def said(ran):
    assert ran.status == 0, ran.stderr
    return [(pair["score"], pair["a"]["scene_id"], pair["b"]["scene_id"]) for pair in ran.json()["pairs"]]


def unsound(m2s, folder):
    """What a check finds, but for key frames and an index file, which these films never had."""
    found = m2s("index", "verify", "--json", "--catalog", folder).json()["problems"]
    return {problem["what"] for problem in found} - {
        "key frames that are missing or damaged",
        "an index file that cannot be used",
    }


def test_all_films(folder, m2s):
    """The best of what every two films give, kept in the catalogue, and shown from there."""
    expected = of_two_films(folder)
    assert len(expected) > 12
    ran = m2s("pairs", "--all", "--top", "12", "--json", "--catalog", folder)
    assert said(ran) == expected[:12]
    assert [pair["rank"] for pair in ran.json()["pairs"]] == list(range(1, 13))
    shown = m2s("pairs", "--show", "--json", "--catalog", folder)
    assert (shown.stdout, shown.stderr) == (ran.stdout, "")
    assert said(m2s("pairs", "--show", "--top", "3", "--json", "--catalog", folder)) == expected[:3]
    assert sql(folder, "SELECT count(*) FROM scene_pairs") == [(12,)]
    assert unsound(m2s, folder) == set()


def test_again_without_a_change(folder, m2s):
    """Nothing is searched twice; another number of pairs is another run, and --show shows the one begun last."""
    first = m2s("pairs", "--all", "--top", "5", "--json", "--catalog", folder)
    again = m2s("pairs", "--all", "--top", "5", "--json", "--catalog", folder)
    assert again.stdout == first.stdout
    assert "found already" in again.stderr
    everything = m2s("pairs", "--all", "--json", "--catalog", folder)
    assert said(everything) == of_two_films(folder)
    assert m2s("pairs", "--show", "--json", "--catalog", folder).stdout == everything.stdout


def test_share_and_least_score(folder, m2s):
    """They hold for each two films, as without --all."""
    expected = of_two_films(folder, keep=0.3, min_score=0.2)
    options = ("--keep", "0.3", "--min-score", "0.2")
    assert said(m2s("pairs", "--all", *options, "--json", "--catalog", folder)) == expected != []


@pytest.mark.parametrize(
    ("gate", "films"),
    [
        (("--genre", "drama"), ("ant", "bee", "elk")),
        (("--genre", "Drama", "--genre", "Comedy", "--year", "1990:"), ("ant", "bee", "cat")),
        (("--year", "1991:2001"), ("bee", "cat")),
    ],
)
def test_gates(folder, m2s, gate, films):
    """Only films of those genres and years are compared."""
    assert said(m2s("pairs", "--all", *gate, "--json", "--catalog", folder)) == of_two_films(folder, films)


def test_similar_films_only(folder, m2s, tmp_path):
    """Films whose titles share a genre are compared; not those of none, nor those that share nothing."""
    table = tmp_path / "movies.csv"
    rows = (f"{name}.mp4,{name.title()},1990,{'|'.join(genres)}" for name, (_, genres) in FILMS.items())
    table.write_text("movie,title,year,genres\n" + "\n".join(rows) + "\n")
    assert m2s("movies", "import", table, "--catalog", folder).status == 0
    sharing = [("ant", "bee"), ("ant", "elk"), ("bee", "cat"), ("bee", "elk")]
    expected = sorted(pair for films in sharing for pair in of_two_films(folder, films))
    found = said(m2s("pairs", "--all", "--similar", "genre", "--json", "--catalog", folder))
    assert found == sorted(found, key=lambda pair: (-pair[0], *pair[1:]))
    assert sorted(found) == expected


KILLED = """
import os, sys
from functools import partial
from pathlib import Path
from m2s_index.catalog import Catalog
from m2s_index.pairing import catalogue_pairs

catalogue_pairs.STORE_EVERY_SECONDS = 0
catalogue_pairs.all_blocks = partial(catalogue_pairs.all_blocks, rows=5)

def progress(done, total):
    print(done, total, flush=True)
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), 9)

with Catalog.open(Path(sys.argv[1]), writable=True) as catalog:
    options = catalogue_pairs.CatalogueOptions(top=9)
    found = catalogue_pairs.find_catalogue_pairs(catalog, options, None, progress)
    print([(pair.score, pair.a.scene_id, pair.b.scene_id) for pair in found.pairs], found.notes)
"""


def killed_at(folder, block):
    command = [sys.executable, "-c", KILLED, str(folder), str(block)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_run_that_is_killed_goes_on(folder, m2s):
    """The next run starts after the last block that was kept, and ends with what an undisturbed one has."""
    ran = killed_at(folder, 4)
    assert ran.returncode == -9
    total = int(ran.stdout.split()[1])
    assert total > 6
    shown = m2s("pairs", "--show", "--catalog", folder)
    assert shown.status == 2
    assert f"no pairs of all films were found yet (there are: none; one is at block 4 of {total})" in shown.stderr
    ran = killed_at(folder, -1)
    assert ran.stdout.startswith(f"5 {total}\n")
    assert f"went on from block 4 of {total}" in ran.stdout
    assert str(of_two_films(folder)[:9]) in ran.stdout


def test_run_that_is_killed_and_films_that_change(folder):
    """What was found of other films is of no use: the run starts again."""
    assert killed_at(folder, 4).returncode == -9
    with Catalog.open(folder, writable=True) as catalog:
        add(catalog, "/fox.mp4", unit_rows(np.random.default_rng(5), 4, 6), encoder=ENCODER)
    ran = killed_at(folder, -1)
    assert ran.stdout.startswith("1 ")
    assert str(of_two_films(folder, [*FILMS, "fox"])[:9]) in ran.stdout


def test_films_that_are_gone_take_their_pairs_along(folder, m2s):
    """--show leaves out what is no longer there, and says that films have changed."""
    m2s("pairs", "--all", "--catalog", folder)
    before = of_two_films(folder)
    gone = {scene for (scene,) in sql(folder, "SELECT id FROM scenes WHERE movie_id = 2")}
    with Catalog.open(folder, writable=True) as catalog, catalog.write() as session:
        remove_movie(session, 2)
    shown = m2s("pairs", "--show", "--json", "--catalog", folder)
    assert said(shown) == [pair for pair in before if not gone & set(pair[1:])]
    assert shown.json()["pairs"][-1]["rank"] == len(said(shown))
    assert "the films have changed since" in shown.stderr
    assert unsound(m2s, folder) == set()


def test_pairs_of_an_older_encoder(folder, m2s):
    """They are shown with a line that says whose they are; by name without one; and not as those of another."""
    first = m2s("pairs", "--all", "--json", "--catalog", folder)
    with Catalog.open(folder, writable=True) as catalog:
        for movie_id in (1, 2):
            scenes = sql(folder, f"SELECT count(*) FROM scenes WHERE movie_id = {movie_id}")[0][0]
            vectors = unit_rows(np.random.default_rng(movie_id), scenes, 4)
            add_encoder(catalog, movie_id, vectors, make_encoder("newer", 4))
        with catalog.write() as session:
            use_encoder(session, "newer")
    shown = m2s("pairs", "--show", "--json", "--catalog", folder)
    assert shown.stdout == first.stdout
    assert "these are by encoder 'test'" in shown.stderr
    assert "the catalogue's is now 'newer': run 'm2s pairs --all' for its pairs" in shown.stderr
    assert m2s("pairs", "--show", "--encoder", "test", "--catalog", folder).stderr == ""
    ran = m2s("pairs", "--show", "--encoder", "newer", "--catalog", folder)
    assert ran.status == 2
    assert "no pairs of all films by encoder 'newer' were found yet (there are: test)" in ran.stderr
    assert m2s("pairs", "--all", "--json", "--catalog", folder).json()["encoder"] == "newer"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--all", "--genre", "Western"), "--genre Western leaves no films: pairs are of two films"),
        (("--all", "--year", "2002"), "--year 2002 leaves 1 film: pairs are of two films"),
        (("--all", "--top", "0"), "the number of pairs must be at least 1, not 0"),
        (("--all", "--similar", "cowatch"), "no ratings are known of any movie"),
        (("--all", "--windows"), "--windows does not go with --all"),
        (("--show", "--genre", "x", "--keep", "1"), "--genre, --keep does not go with --show"),
        (("ant", "bee", "--year", "1990"), "--year does not go with A B"),
        (("--all", "--show"), "give two films (m2s pairs A B), or one of --all and --show"),
        (("ant", "--all"), "give two films (m2s pairs A B), or one of --all and --show"),
        (("--show",), "no pairs of all films were found yet (there are: none): run 'm2s pairs --all'"),
    ],
)
def test_wrong_usage(folder, m2s, arguments, line):
    """A line that says what is wrong, and exit status 2."""
    ran = m2s("pairs", *arguments, "--catalog", folder)
    assert (ran.status, ran.stdout) == (2, "")
    assert line in ran.stderr


def test_catalogue_of_one_film(tmp_path, m2s):
    """There is nothing to compare."""
    with Catalog.open(tmp_path, create=True) as catalog:
        add(catalog, "/a.mp4", unit_rows(np.random.default_rng(0), 3, 6), encoder=ENCODER)
    ran = m2s("pairs", "--all", "--catalog", tmp_path)
    assert ran.status == 2
    assert "1 film by encoder 'test': pairs are of two films" in ran.stderr


def test_while_the_catalogue_is_being_changed(folder, m2s):
    """A run waits for nobody: it says who changes the catalogue."""
    from m2s_index.lock import BuildLock

    with BuildLock(folder):
        ran = m2s("pairs", "--all", "--catalog", folder)
    assert ran.status == 1
    assert "is being changed by" in ran.stderr


def test_approximate_route(catalog_folder, m2s):
    """Through the index file of a catalogue of few scenes, all neighbours are found: the same pairs, and a line
    that says how.
    """
    exact = m2s("pairs", "--all", "--junk", "--json", "--catalog", catalog_folder)
    near = m2s("pairs", "--all", "--junk", "--route", "approximate", "--json", "--catalog", catalog_folder)
    assert (near.stdout, near.status) == (exact.stdout, 0), near.stderr
    assert len(exact.json()["pairs"]) > 3
    assert "5 scenes: pairs are looked for among nearest neighbours" in near.stderr
    assert "nearest neighbours" not in exact.stderr
    assert sql(catalog_folder, "SELECT route FROM pair_runs ORDER BY id") == [("exact",), ("approximate",)]


def test_route_by_size(catalog_folder, m2s, monkeypatch):
    """More scenes than are compared exactly go the approximate way by themselves."""
    monkeypatch.setattr("m2s_index.pairing.catalogue_pairs.EXACT_SCENES", 4)
    assert "nearest neighbours" in m2s("pairs", "--all", "--junk", "--catalog", catalog_folder).stderr
    exact = m2s("pairs", "--all", "--junk", "--route", "exact", "--catalog", catalog_folder)
    assert "nearest neighbours" not in exact.stderr


def test_approximate_route_without_its_file(folder, catalog_folder, m2s):
    """A line says what is missing."""
    ran = m2s("pairs", "--all", "--route", "approximate", "--catalog", folder)
    assert ran.status == 1
    assert "there is no index file for encoder 'test' yet" in ran.stderr
    ran = m2s("pairs", "--all", "--similar", "genre", "--route", "approximate", "--catalog", folder)
    assert ran.status == 2
    assert "--route approximate looks among all films: it does not go with --similar" in ran.stderr
    with Catalog.open(catalog_folder, writable=True) as catalog:
        with catalog.reader() as reader:
            gist = find_encoder(reader, None).identity
        add(catalog, "/fox.mp4", unit_rows(np.random.default_rng(5), 4, gist.dimension), encoder=gist)
    ran = m2s("pairs", "--all", "--route", "approximate", "--catalog", catalog_folder)
    assert ran.status == 1
    assert "the index file of gist lacks some films: run 'm2s index repair', then again" in ran.stderr
