"""Movie metadata as it is published: MovieLens, Condensed Movies, tables; and files that make no sense."""

from __future__ import annotations

import numpy as np
import pytest

from m2s_index.errors import UsageError
from m2s_index.metadata import MovieMetadata
from m2s_index.movie_metadata import movielens
from m2s_index.movie_metadata.metadata_files import read_metadata_files
from m2s_index.movie_metadata.movielens import read_title

LINKS = "movieId,imdbId,tmdbId\n1,0114709,862\n2,0113497,8844\n7,11390036,\n"
TITLES = 'movieId,title,genres\n1,Toy Story (1995),Comedy|Adventure\n7,"Beach, The",(no genres listed)\n'
RATINGS = "userId,movieId,rating,timestamp\n5,2,4.0,1\n5,1,0.5,1\n3,1,5.0,1\n"
GENRES = "imdbid,genre,country\ntt0114709,\"['Drama', 'Comedy']\",['USA']\ntt9999999,[],[]\n"
FILMS = "imdbid,title,year\ntt0114709,Toy Story,1995.0\ntt2274064,The Last White Knight,\n"
CLIPS = "videoid,clip_idx,title,year,imdbid\nb,2,T,,tt0114709\na,1,T,,tt0114709\n"
DESCRIPTIONS = 'imdbid,videoid,description\ntt0114709,x,Last.\ntt0114709,b,"Second, too."\ntt0114709,a,First.\n'


@pytest.fixture
def read(tmp_path):
    """Write files, name=text, and read all of them, or the folder they are in."""

    def run(*, as_folder=False, **texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.csv").write_bytes(text.encode())
        return read_metadata_files([tmp_path] if as_folder else [tmp_path / f"{name}.csv" for name in texts])

    return run


def test_movielens(read):
    """Titles with their article in front, genres, and ratings sorted by movie and person, by IMDb id."""
    found = read(links=LINKS, movies=TITLES, ratings=RATINGS)
    assert found.movies == [
        MovieMetadata(title="Toy Story", year=1995, genres=("Adventure", "Comedy"), imdb_id="tt0114709"),
        MovieMetadata(imdb_id="tt0113497"),
        MovieMetadata(title="The Beach", imdb_id="tt11390036"),
    ]
    ratings = found.ratings
    assert ratings.imdb_ids == ("tt0114709", "tt0113497")
    assert list(zip(ratings.movies, ratings.people, ratings.ratings, strict=True)) == [
        (0, 3, 5.0), (0, 5, 0.5), (1, 5, 4.0),
    ]  # fmt: skip
    assert (found.left_out, found.passed_over, found.named) == ((), (), {})


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_ratings_in_chunks(read, monkeypatch, chunk):
    """However few rows are read at a time; columns in any order, quotes, CRLF, a byte-order mark, rows twice."""
    monkeypatch.setattr(movielens, "CHUNK_ROWS", chunk)
    text = '\ufeffRating,movieId,"userId"\r\n4.0,2,"5"\r\n0.5,1,5\r\n5.0,1,3\r\n0.5,1,5\r\n'
    ratings = read(links=LINKS, ratings=text).ratings
    assert (ratings.movies.tolist(), ratings.people.tolist()) == ([0, 0, 1], [3, 5, 5])
    assert ratings.ratings.tolist() == [5.0, 0.5, 4.0]


def test_no_ratings(read):
    """A file with a header alone holds no ratings."""
    ratings = read(links=LINKS, ratings="userId,movieId,rating\n").ratings
    assert (ratings.imdb_ids, len(ratings.people)) == ((), 0)


def test_movies_without_an_imdb_id(read):
    """Movies that links.csv lacks, or has no IMDb id for, are left out and named; the others come in."""
    found = read(
        links="movieId,imdbId\n1,0114709\n2,\n",
        movies="movieId,title,genres\n1,A (1999),\n2,B (1999),\n",
        ratings="userId,movieId,rating\n5,2,4\n5,1,3\n6,9,3\n",
    )
    assert [record.title for record in found.movies] == ["A"]
    assert (found.ratings.imdb_ids, found.ratings.people.tolist()) == (("tt0114709",), [5])
    assert ["movieId 2)" in found.left_out[0], "movieId 2, 9)" in found.left_out[1]] == [True, True]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Toy Story (1995)", ("Toy Story", 1995)),
        ("Misérables, Les (1995)", ("Les Misérables", 1995)),
        ("Eau froide, L' (Cold Water) (1994)", ("L'Eau froide (Cold Water)", 1994)),
        ("City of Lost Children, The (Cité, La) (1995)", ("The City of Lost Children (Cité, La)", 1995)),
        ("(500) Days of Summer (2009)", ("(500) Days of Summer", 2009)),
        ("Death Note: Desu nôto (2006–2007)", ("Death Note: Desu nôto", 2006)),
        ("Fawlty Towers (1975-1979)", ("Fawlty Towers", 1975)),
        ("Babylon 5", ("Babylon 5", None)),
        ("2001: A Space Odyssey (1968) ", ("2001: A Space Odyssey", 1968)),
        ("Andes, Anden", ("Andes, Anden", None)),
    ],
)
def test_titles_of_movielens(text, title):
    """Year and article out of the way that MovieLens writes titles."""
    assert read_title(text) == title


def test_condensed_movies(read):
    """Titles, genres, and a synopsis in the order of the clips, those without a place last."""
    found = read(films=FILMS, genres=GENRES, clips=CLIPS, descriptions=DESCRIPTIONS)
    assert found.movies == [
        MovieMetadata(
            title="Toy Story", year=1995, genres=("Comedy", "Drama"),
            synopsis="First. Second, too. Last.", imdb_id="tt0114709",
        ),
        MovieMetadata(title="The Last White Knight", imdb_id="tt2274064"),
        MovieMetadata(imdb_id="tt9999999"),
    ]  # fmt: skip


def test_descriptions_alone(read):
    """Without clips.csv the synopsis is in the order of the file."""
    assert read(descriptions=DESCRIPTIONS).movies[0].synopsis == "Last. Second, too. First."


def test_table_of_ones_own(read):
    """All six columns; files that share an IMDb id; ids as people write them."""
    found = read(
        table="movie,title,year,genres,synopsis,imdb_id\n"
        "a1.mp4,A,1999,Drama|War,All of it.,tt0000012\na2.mp4,,,,,12\nb,B,,,,\n"
    )
    assert found.movies == [
        MovieMetadata("a1.mp4", "A", 1999, ("Drama", "War"), "All of it.", "tt0000012"),
        MovieMetadata("a2.mp4", imdb_id="tt0000012"),
        MovieMetadata("b", "B"),
    ]
    assert list(found.named) == ["a1.mp4", "a2.mp4", "b"]


def test_folder(read):
    """In a folder every file is found by its header, and what is of no kind is named."""
    found = read(as_folder=True, links=LINKS, scores=RATINGS, tags="userId,movieId,tag\n1,1,x\n", note="x\n")
    assert len(found.ratings.people) == 3
    assert [path.name for path in found.passed_over] == ["note.csv", "tags.csv"]


def test_folder_without_metadata(read):
    """A folder in which nothing is of use is wrong usage."""
    with pytest.raises(UsageError, match="holds no file of metadata"):
        read(as_folder=True, tags="userId,movieId,tag\n")


BAD_FILES = [
    ({"x": "userId,movieId\n1,1\n"}, r"x\.csv: no metadata.*has: userid, movieid\. .*: userid, movieid, rating"),
    ({"x": ""}, "its first line has: nothing"),
    ({"ratings": RATINGS}, r"ratings\.csv: which films these are .* name it too"),
    ({"movies": TITLES}, r"movies\.csv: which films these are"),
    ({"links": LINKS, "more": LINKS}, "links.csv and .*more.csv are both MovieLens's links"),
    ({"links": "movieId,imdbId\nx,1\n"}, "line 2: the movieId 'x' is no number"),
    ({"links": "movieId,imdbId\n1,nm77\n"}, "line 2: 'nm77' is no IMDb id"),
    ({"links": "movieId,imdbId\n1,12\n1,13\n"}, "line 3: the imdb_id of '1' is 'tt0000013', but .*line 2"),
    ({"links": "movieId,imdbId\n1,12\n2,12\n"}, "line 3: the movieId of 'tt0000012' is '2', but .*line 2 says '1'"),
    ({"links": LINKS, "movies": TITLES + "1,Other (1995),\n"}, "line 4: the title of '1' is 'Other'"),
    ({"links": LINKS, "r": RATINGS + "5,1,4.5,2\n"}, "lines 3, 5 give several ratings of movie 1 by person 5"),
    ({"links": LINKS, "r": RATINGS + "5,1,good,2\n"}, "r.csv, line 5: not a rating"),
    ({"links": LINKS, "r": RATINGS + "\n5,1\n"}, "r.csv, line 6: not a rating"),
    ({"links": LINKS, "r": RATINGS + "5,9,6,1\n"}, "line 5: not a rating"),
    ({"links": LINKS, "r": RATINGS + "5,9,0,1\n"}, "line 5: not a rating"),
    ({"links": LINKS, "r": RATINGS + "5,9,nan,1\n"}, "line 5: not a rating"),
    ({"links": LINKS, "r": RATINGS + "-5,9,1,1\n"}, "line 5: not a rating"),
    ({"links": LINKS, "r": RATINGS + "5,9.5,1,1\n"}, "line 5: not a rating"),
    ({"links": LINKS, "r": RATINGS + "5,1e300,1,1\n"}, "line 5: not a rating"),
    ({"films": FILMS + "tt0114709,Toys,\n"}, "line 4: the title of 'tt0114709' is 'Toys', but .*line 2"),
    ({"films": "imdbid,title,year\ntt1,A,199\n"}, "line 2: the year '199'"),
    ({"films": "imdbid,title,year\n,A,1999\n"}, "line 2: '' is no IMDb id"),
    ({"genres": "imdbid,genre\ntt1,Drama\n"}, r"line 2: the genres are not written as \['Drama'"),
    ({"genres": "imdbid,genre\ntt1,[1]\n"}, "line 2: the genres"),
    ({"clips": "videoid,clip_idx,imdbid\na,one,tt1\n", "d": DESCRIPTIONS}, "line 2: the clip_idx 'one'"),
    ({"t": "movie,imdb_id\na,tt1\na,tt2\n"}, "line 3: the imdb_id of 'a' is 'tt0000002', but .*line 2"),
    ({"t": "movie,title,imdb_id\na,A,1\nb,B,1\n"}, "line 3: the title of 'tt0000001' is 'B'"),
    ({"t": "movie,genres,imdb_id\na,War,1\nb,Drama|War,1\n"}, r"'Drama\|War', but .* says 'War'"),
    ({"t": "movie,imdb_id\na,0114709x\n"}, "line 2: '0114709x' is no IMDb id"),
]  # fmt: skip


@pytest.mark.parametrize(("texts", "words"), BAD_FILES)
def test_files_that_make_no_sense(read, texts, words):
    """A file that makes no sense is refused with its name, the line and what to do."""
    with pytest.raises(UsageError, match=words) as raised:
        read(**texts)
    assert ".csv" in str(raised.value)


def test_files_that_cannot_be_read(tmp_path):
    """What is not there, or no text, is said in a line."""
    with pytest.raises(UsageError, match=r"none\.csv: cannot be read"):
        read_metadata_files([tmp_path / "none.csv"])
    (tmp_path / "bytes.csv").write_bytes(b"movie\xff\xfe,\n")
    with pytest.raises(UsageError, match=r"bytes\.csv: not a CSV table in UTF-8"):
        read_metadata_files([tmp_path / "bytes.csv"])
    (tmp_path / "l.csv").write_text(LINKS)
    (tmp_path / "r.csv").write_bytes(RATINGS.encode() + b"5,1,\xff,1\n")
    with pytest.raises(UsageError, match=r"r\.csv: not a CSV table in UTF-8"):
        read_metadata_files([tmp_path / "l.csv", tmp_path / "r.csv"])


def test_real_metadata(shared_data):
    """MovieLens and Condensed Movies as published: what their own notes count, and movies that both know."""
    folder = shared_data / "metadata"
    found = read_metadata_files([folder / "ml-latest-small", folder / "condensed_movies"])
    ratings = found.ratings
    assert (len(ratings.ratings), len(ratings.imdb_ids), len(np.unique(ratings.people))) == (100_836, 9724, 610)
    assert found.left_out == ()
    said = [(record.title, record.year) for record in found.movies if record.imdb_id == "tt0133093"]
    assert said == [("The Matrix", 1999)] * 2
    told = {record.imdb_id for record in found.movies if record.synopsis and record.genres}
    listed = {record.imdb_id for record in read_metadata_files([folder / "ml-latest-small"]).movies}
    assert len(told & listed) == 2394
    assert len(told & set(ratings.imdb_ids)) == 2391
