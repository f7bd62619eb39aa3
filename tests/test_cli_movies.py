"""``m2s movies``: metadata in, films linked to it, and what is similar by it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from catalog_contents import sql
from catalog_factory import add, make_encoder, unit_rows

from m2s_index.catalog import Catalog
from m2s_index.movie_metadata.known_titles import find_title, link_movies, title_key
from m2s_index.movie_metadata.movie_signals import similar_titles

TABLE = (
    "movie,title,year,genres,synopsis,imdb_id\n"
    "alien.mkv,Alien,1979,Horror|Sci-Fi,A crew meets a creature in space.,tt0078748\n"
    "aliens.mkv,Aliens,1986,Horror|Sci-Fi|Action,Marines fight the creature in space.,tt0090605\n"
    "heat.mkv,Heat,1995,Crime,A thief and a detective.,tt0113277\n"
    "nothing.mkv,Nothing,2003,,,tt0298482\n"
)
LINKS = "movieId,imdbId\n1,0078748\n2,0090605\n3,0113277\n"
RATINGS = "userId,movieId,rating\n" + "".join(
    f"{person},{movie},{stars}\n"
    for person in range(20)
    for movie, stars in ((1, 5 if person < 9 else 1), (2, 4 if person < 10 else 3.5), (3, 4 if person > 11 else 2))
)


@pytest.fixture
def write(tmp_path):
    """Write a file; returns its path."""

    def run(text, name="table"):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        return path

    return run


@pytest.fixture
def catalog(tmp_path, write, m2s):
    """A catalogue with the table and the ratings, and no film."""
    folder = tmp_path / "catalog"
    files = (write(TABLE), write(LINKS, "links"), write(RATINGS, "ratings"))
    ran = m2s("movies", "import", *files, "--catalog", folder)
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout == ("4 movies (4 new), 60 ratings by 20 people; 0 indexed films are of known movies\n")
    return folder


def add_films(folder, *films):
    """Index films (path, title, year) that were never filmed; returns their ids."""
    with Catalog.open(folder, create=True) as catalog:
        vectors = unit_rows(np.random.default_rng(0), 1, 4)
        return [
            add(catalog, path, vectors, encoder=make_encoder(dimension=4), title=title, year=year)
            for path, title, year in films
        ]


def test_similar_by_cowatch(catalog, m2s):
    """Who liked the one liked the other: the score is the shrunk correlation, worked out by hand."""
    found = m2s("movies", "similar", "Alien", "--json", "--catalog", catalog).json()
    a, b, both = 9, 10, 9
    phi = (20 * both - a * b) / (a * (20 - a) * b * (20 - b)) ** 0.5
    assert found == {
        "movie": {"title": "Alien", "year": 1979, "imdb_id": "tt0078748"},
        "signal": "cowatch",
        "similar": [
            {
                "rank": 1, "score": pytest.approx(phi * both / (both + 10)), "title": "Aliens", "year": 1986,
                "imdb_id": "tt0090605", "movies": [],
            }
        ],
    }  # fmt: skip


@pytest.mark.parametrize(("signal", "score"), [("genre", "0.667"), ("synopsis", "1.000")])
def test_similar_by_genre_and_synopsis(catalog, m2s, signal, score):
    """Two of three genres in common; synopses whose words in common are the same two."""
    ran = m2s("movies", "similar", "tt0078748", "--signal", signal, "--catalog", catalog)
    assert ran.stdout.splitlines()[0] == f"Alien (1979), by {signal}"
    assert [line.split()[:3] for line in ran.stdout.splitlines()[3:]] == [["1", score, "Aliens"]]


def test_nothing_similar(catalog, m2s):
    """A movie that nothing is like, or nothing is known of: an empty list, a line that says so, status 0."""
    for movie, signal in (("Heat", "genre"), ("Nothing", "genre"), ("Nothing", "cowatch")):
        ran = m2s("movies", "similar", movie, "--signal", signal, "--json", "--catalog", catalog)
        assert (ran.status, ran.json()["similar"]) == (0, [])
        assert f"nothing is similar to {movie} (" in ran.stderr


@pytest.mark.parametrize("output", ["json", "csv"])
def test_all_pairs(catalog, m2s, output):
    """Without a movie: similar pairs, and as many that are not."""
    ran = m2s("movies", "similar", "--signal", "genre", f"--{output}", "--catalog", catalog)
    if output == "csv":
        rows = list(csv.DictReader(io.StringIO(ran.stdout)))
        assert [(r["similar"], r["title_a"], r["imdb_id_b"]) for r in rows[:1]] == [("yes", "Alien", "tt0090605")]
        assert len(rows) == 1
    else:
        (pair,) = ran.json()["pairs"]
        assert (pair["similar"], pair["a"]["title"], pair["b"]["year"]) == (True, "Alien", 1986)


def test_pairs_of_indexed_movies(catalog, m2s):
    """With ``--indexed`` both are movies that films are of; where there is no pair, that is said."""
    add_films(catalog, ("/f/alien.mkv", None, None), ("/f/heat.mkv", None, None))
    pairs = ("movies", "similar", "--indexed", "--json", "--catalog", catalog)
    ran = m2s(*pairs)
    assert (ran.status, ran.json()["pairs"]) == (0, [])
    assert "no two movies are similar by cowatch" in ran.stderr
    add_films(catalog, ("/f/aliens.mkv", None, None))
    (pair,) = m2s(*pairs).json()["pairs"]
    assert (pair["a"]["title"], pair["b"]["title"]) == ("Alien", "Aliens")


def test_dissimilar_pairs_on_real_metadata(shared_data, tmp_path, m2s):
    """MovieLens and Condensed Movies in seconds: sequels are neighbours; as many pairs have no liking in common."""
    folders = (shared_data / "metadata" / name for name in ("ml-latest-small", "condensed_movies"))
    ran = m2s("movies", "import", *folders, "--json", "--catalog", tmp_path)
    assert {name: ran.json()[name] for name in ("movies", "new", "ratings", "people")} == {
        "movies": 10_700, "new": 10_700, "ratings": 100_836, "people": 610,
    }  # fmt: skip
    assert "tags.csv is of no use here" in ran.stderr
    for movie, signal, sequel in (
        ("Toy Story", "cowatch", "Toy Story 2"),
        ("The Godfather", "cowatch", "The Godfather: Part II"),
        ("Matrix", "synopsis", "The Matrix Reloaded"),
    ):
        found = m2s("movies", "similar", movie, "--signal", signal, "--json", "--catalog", tmp_path).json()
        assert found["similar"][0]["title"] == sequel
    pairs = m2s("movies", "similar", "-n", "3", "--json", "--catalog", tmp_path).json()["pairs"]
    similar = [pair["score"] for pair in pairs if pair["similar"]]
    others = [pair["score"] for pair in pairs if not pair["similar"]]
    assert len(similar) == len(others) > 10_000
    assert min(similar) > 0 >= max(others)


def test_import_again(catalog, write, m2s):
    """What comes later counts more, empty cells leave what is known, and nothing is there twice."""
    table = write("movie,title,genres,imdb_id\nalien.mkv,,Thriller,tt0078748\nheat.mkv,Heat (1995),,\nnew,New,,\n")
    ran = m2s("movies", "import", table, "--json", "--catalog", catalog).json()
    assert (ran["movies"], ran["new"], ran["ratings"]) == (3, 1, 0)
    assert sql(catalog, "SELECT title, year FROM titles ORDER BY id") == [
        ("Alien", 1979), ("Aliens", 1986), ("Heat (1995)", 1995), ("Nothing", 2003), ("New", None),
    ]  # fmt: skip
    assert sql(catalog, "SELECT genre FROM title_genres WHERE title_id = 1") == [("Thriller",)]
    assert sql(catalog, "SELECT count(*) FROM title_ratings") == [(3,)]


def test_a_file_whose_imdb_id_comes_later(catalog, write, m2s):
    """A title that was known by its file alone goes when the file turns out to be of another."""
    for row in ("x.mkv,Ripley's Film,", "x.mkv,,tt0078748"):
        m2s("movies", "import", write(f"movie,title,imdb_id\n{row}\n"), "--catalog", catalog)
    assert sql(catalog, "SELECT count(*) FROM titles") == [(4,)]
    found = "SELECT imdb_id FROM titles JOIN title_files ON title_id = titles.id WHERE file = 'x.mkv'"
    assert sql(catalog, found) == [("tt0078748",)]


def test_tables_that_share_a_file(catalog, write, m2s):
    """Of two tables imported together one may have the IMDb id, whichever comes first."""
    tables = [write("movie,imdb_id\ny,tt0000077\n", "a"), write("movie,title\ny,Why\n", "b")]
    for order in (tables, tables[::-1]):
        m2s("movies", "import", *order, "--catalog", catalog)
        assert sql(catalog, "SELECT title FROM titles WHERE imdb_id = 'tt0000077'") == [("Why",)]
        assert sql(catalog, "SELECT count(*) FROM titles") == [(5,)]


def test_ratings_take_the_place_of_others(catalog, write, m2s):
    """Another set of ratings numbers its people anew: the two do not mix."""
    files = (write(LINKS, "links"), write("userId,movieId,rating\n1,3,5\n", "ratings"))
    assert m2s("movies", "import", *files, "--json", "--catalog", catalog).json()["people"] == 1
    assert sql(catalog, "SELECT title_id FROM title_ratings") == [(3,)]


def test_left_out(tmp_path, write, m2s):
    """Ids that nothing is known of are named, the rest comes in, and the status is 1."""
    files = (write(LINKS, "links"), write(RATINGS + "1,99,4\n", "ratings"))
    ran = m2s("movies", "import", *files, "--catalog", tmp_path / "c")
    assert ran.status == 1
    assert "1 movies are left out" in ran.stderr
    assert "movieId 99" in ran.stderr
    assert ran.stdout.startswith("3 movies (3 new), 60 ratings by 20 people")


def test_bad_file_changes_nothing(catalog, write, m2s):
    """A file that makes no sense is refused whole."""
    before = sql(catalog, "SELECT * FROM titles")
    bad = write("movie,title,imdb_id\nz,Z,tt5\nz,Other,tt5\n")
    ran = m2s("movies", "import", bad, "--catalog", catalog)
    assert (ran.status, ran.stdout) == (2, "")
    assert "line 3: the title of 'z' is 'Other'" in ran.stderr
    assert sql(catalog, "SELECT * FROM titles") == before


def test_films_are_linked(catalog):
    """A film is of the title that a table gives for its file; else of the only one with its title and year; films
    that are indexed after the import as well.
    """
    films = {
        ("/f/alien.mp4", "Heat", 1995): "tt0078748",  # the table's file, though its title is another's
        ("/f/x.mkv", "HEAT!", 1995): "tt0113277",
        ("/f/y.mkv", "Heat", 1986): None,
        ("/f/z.mkv", "Aliens", None): None,
    }
    ids = add_films(catalog, *films)
    with Catalog.open(catalog) as opened, opened.read() as session:
        links = link_movies(session)
        found = [find_title(session, f"/f/{name}").imdb_id for name in ("alien.mp4", "x.mkv")]
        _, similar = similar_titles(session, "Aliens", "cowatch", 5)
    titles = dict(sql(catalog, "SELECT id, imdb_id FROM titles"))
    assert [titles.get(links.get(movie_id)) for movie_id in ids] == list(films.values())
    assert found == ["tt0078748", "tt0113277"]
    assert similar[0].movies == ("alien",)


def test_two_titles_of_one_name_and_year(catalog, write, m2s):
    """Where two titles fit a film it is of neither; who asks by name is shown both, with their ids."""
    m2s("movies", "import", write("movie,title,year,imdb_id\nh2,Heat,1995,tt7\n"), "--catalog", catalog)
    add_films(catalog, ("/f/film.mkv", "Heat", 1995))
    with Catalog.open(catalog) as opened, opened.read() as session:
        assert link_movies(session) == {}
    ran = m2s("movies", "similar", "Heat", "--catalog", catalog)
    assert ran.status == 2
    assert "may be any of Heat (1995) tt0113277, Heat (1995) tt0000007: give the year or the IMDb id" in ran.stderr
    ran = m2s("movies", "similar", "film.mkv", "--catalog", catalog)
    assert ran.status == 2
    assert "'film.mkv' is indexed, but no metadata is of it" in ran.stderr


@pytest.mark.parametrize(
    ("text", "imdb_id"),
    [
        ("alien", "tt0078748"),
        ("ALIEN (1979)", "tt0078748"),
        ("Aliens 1986", "tt0090605"),
        ("tt90605", "tt0090605"),
        ("hea", "tt0113277"),
        ("the heat", "tt0113277"),
    ],
)
def test_references(catalog, text, imdb_id):
    """A title with or without its year, case or article; an IMDb id; a start that only one title has."""
    with Catalog.open(catalog) as opened, opened.read() as session:
        assert find_title(session, text).imdb_id == imdb_id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Alein", "no movie is called 'Alein'; did you mean 'Alien (1979)' or 'Aliens (1986)'?"),
        ("ali", "may be any of Alien"),
        ("", "is called ''"),
    ],
)
def test_references_that_name_nothing(catalog, m2s, text, words):
    """An unknown movie is wrong usage, with those that may be meant."""
    ran = m2s("movies", "similar", text, "--catalog", catalog)
    assert (ran.status, ran.stdout) == (2, "")
    assert words in ran.stderr


def test_nothing_imported(catalog_folder, write, m2s):
    """Without metadata, or without that of the signal, the error says what to import."""
    ran = m2s("movies", "similar", "Short", "--catalog", catalog_folder)
    assert (ran.status, "nothing is known of any movie" in ran.stderr) == (2, True)
    m2s("movies", "import", write("movie,title\nShort,Short\n"), "--catalog", catalog_folder)
    for signal, missing in (("cowatch", "ratings"), ("genre", "genres"), ("synopsis", "synopses")):
        ran = m2s("movies", "similar", "Short", "--signal", signal, "--catalog", catalog_folder)
        assert (ran.status, f"no {missing} are known of any movie" in ran.stderr) == (2, True)


def test_a_table_also_tells_of_indexed_films(catalog_folder, write, m2s):
    """Films that a table names get its titles, years and genres, as from ``index build --metadata``; films that
    are not there are no error.
    """
    table = write("movie,title,year,genres\nShort,A Short One,1971,Drama\nlater.mkv,Later,1999,War\n")
    ran = m2s("movies", "import", table, "--catalog", catalog_folder)
    assert (ran.status, ran.stderr) == (0, "")
    assert "1 indexed films are of known movies" in ran.stdout
    query = ("query", "--scene", "Gamma#0", "--genre", "drama", "--json", "--catalog", catalog_folder)
    (hit,) = m2s(*query).json()["hits"]
    assert (hit["title"], hit["year"]) == ("A Short One", 1971)


@pytest.mark.parametrize("damage", ["x'000000'", "x'00000000'", "x''"])
def test_damaged_ratings(catalog, m2s, damage):
    """Ratings that do not fit their people are damage, with what to do about it."""
    sql(catalog, f"UPDATE title_ratings SET people = {damage} WHERE title_id = 1")
    ran = m2s("movies", "similar", "Alien", "--catalog", catalog)
    assert ran.status == 1
    assert "the ratings of title 1 are damaged: import them again" in ran.stderr


def test_title_keys():
    """Titles compare without case, marks, articles and forms of Unicode; one of marks alone stays itself."""
    assert title_key("The Good, the Bad & the Ugly") == title_key("good the bad AND the ugly")
    assert title_key("Schindler’s List") == title_key("SCHINDLERS LIST") != title_key("Schindler List")
    assert title_key("Amélie") == title_key("Ame\u0301lie") != title_key("Amelie")
    assert title_key("!!!") == "!!!"
    assert title_key("The A Team") == "a team"
