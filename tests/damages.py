"""Twenty-five damages to a catalogue, as a failing disk, a careless hand, a script or an attacker would do them.

Chosen without a look at how they are found. Of the films of ``films``, in any order of their ids.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
from catalog_contents import sql
from numpy.typing import NDArray

ALPHA, BETA, GAMMA = "Alpha Beach (1990)", "Beta Road (1991)", "Gamma (1992)"
_ID = "(SELECT id FROM movies WHERE name = '{}')"
_OF_ALPHA, _OF_BETA, _OF_GAMMA = (f"movie_id = {_ID.format(name)}" for name in (ALPHA, BETA, GAMMA))

Damage = Callable[[Path], object]


def _by_sql(*statements: str) -> Damage:
    return lambda folder: sql(folder, *statements, foreign_keys=False)


def _on_matrix(change: Callable[[NDArray[np.float32]], None]) -> Damage:
    """Change Alpha's two embeddings in place."""

    def damage(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "catalog.sqlite")) as db:
            (data,) = db.execute(f"SELECT data FROM embeddings WHERE {_OF_ALPHA}").fetchone()
            matrix = np.frombuffer(data, np.float32).reshape(2, -1).copy()
            change(matrix)
            db.execute(f"UPDATE embeddings SET data = ? WHERE {_OF_ALPHA}", (matrix.tobytes(),))
            db.commit()

    return damage


def _one_per_cent(matrix: NDArray[np.float32]) -> None:
    matrix[1, np.abs(matrix[1]).argmax()] *= 1.01


def _rows_swapped(matrix: NDArray[np.float32]) -> None:
    matrix[[0, 1]] = matrix[[1, 0]]


def _swap_first_scenes(folder: Path) -> None:
    """Beta's vector becomes the one of Gamma's scene, in the index file's entries as well."""
    (beta,), (gamma,) = (
        sql(folder, f"SELECT first_scene_id FROM embeddings WHERE {film}")[0] for film in (_OF_BETA, _OF_GAMMA)
    )
    for table in ("embeddings", "index_entries"):
        sql(
            folder,
            f"UPDATE {table} SET first_scene_id = {beta} + {gamma} - first_scene_id "
            f"WHERE first_scene_id IN ({beta}, {gamma})",
        )


def _refile(folder: Path, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
    """Write other vectors to the index file, and record the new file as if it had always been that one."""
    import faiss

    (path,) = (folder / "index").glob("*.faiss")
    index = faiss.read_index(str(path))
    ids = faiss.vector_to_array(index.id_map)
    vectors = np.ascontiguousarray(change(faiss.downcast_index(index.index).reconstruct_n(0, index.ntotal)))
    other = faiss.IndexIDMap(faiss.IndexFlat(vectors.shape[1], index.metric_type))
    other.add_with_ids(vectors, ids)
    faiss.write_index(other, str(path))
    sql(
        folder,
        f"UPDATE index_files SET size_bytes = {path.stat().st_size}, columns = {vectors.shape[1]}, "
        f"sha256 = '{hashlib.sha256(path.read_bytes()).hexdigest()}'",
    )


def _keyframes(folder: Path, film: str) -> Path:
    ((name,),) = sql(folder, f"SELECT keyframes_file FROM movies WHERE name = '{film}'")
    return folder / "keyframes" / str(name)


def _pictures(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def _put_pictures(folder: Path, film: str, pictures: Mapping[str, bytes]) -> None:
    """Write a whole ZIP of pictures, and record its size."""
    path = _keyframes(folder, film)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in pictures.items():
            file.writestr(zipfile.ZipInfo(name), data)
    sql(folder, f"UPDATE movies SET keyframes_bytes = {path.stat().st_size} WHERE name = '{film}'")


def rewrite_a_picture(folder: Path, data: bytes | None) -> None:
    """Put other data in the place of the fifth picture of Alpha, or none."""
    pictures = _pictures(_keyframes(folder, ALPHA))
    del pictures["000004-0.jpg"]
    _put_pictures(folder, ALPHA, pictures | ({"000004-0.jpg": data} if data else {}))


def _undecodable_picture(folder: Path) -> None:
    data = _pictures(_keyframes(folder, ALPHA))["000004-0.jpg"]
    rewrite_a_picture(folder, data[:20] + bytes(len(data) - 20))


def _picture_of_another_film(folder: Path) -> None:
    rewrite_a_picture(folder, _pictures(_keyframes(folder, BETA))["000004-0.jpg"])


def _extra_picture(folder: Path) -> None:
    pictures = _pictures(_keyframes(folder, ALPHA))
    _put_pictures(folder, ALPHA, pictures | {"000020-0.jpg": pictures["000000-0.jpg"]})


def _keyframes_swapped(folder: Path) -> None:
    """Each film has the other's key frames under its own file's name, and the other's size in its row."""
    beta, gamma = (_pictures(_keyframes(folder, film)) for film in (BETA, GAMMA))
    _put_pictures(folder, BETA, gamma)
    _put_pictures(folder, GAMMA, beta)


def _lock_is_a_folder(folder: Path) -> None:
    (folder / "build.lock").unlink()
    (folder / "build.lock").mkdir()


def _index_page_zeroed(folder: Path) -> None:
    """What a disk gives back of one page: the root of an SQL index."""
    ((page,),) = sql(folder, "SELECT rootpage FROM sqlite_master WHERE name = 'ix_movies_name'")
    ((size,),) = sql(folder, "PRAGMA page_size")
    with (folder / "catalog.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))


DAMAGES: dict[str, tuple[Damage, str]] = {
    # The damage, and a word that a problem must say in what or where.
    "the schema wound back": (_by_sql("UPDATE alembic_version SET version_num = '0001'"), "schema"),
    "an encoder's identity edited": (
        _by_sql("UPDATE encoders SET identity = replace(identity, 'grey 128', 'grey 256')"),
        "gist",
    ),
    "a default encoder that is not there": (
        _by_sql("UPDATE settings SET value = '7' WHERE key = 'default_encoder'"),
        "default_encoder",
    ),
    "another time base": (_by_sql(f"UPDATE movies SET time_base = '1/24000' WHERE name = '{BETA}'"), BETA),
    "the genre of a missing film": (_by_sql("INSERT INTO movie_genres VALUES (77, 'Drama')"), "movie_genres"),
    "frame numbers off by one": (
        _by_sql(f"UPDATE shots SET start_frame = start_frame + 1, end_frame = end_frame + 1 WHERE {_OF_BETA}"),
        BETA,
    ),
    "a text for a time": (
        _by_sql(f"UPDATE shots SET end_pts = 'late' WHERE {_OF_BETA} AND \"index\" = 3"),
        BETA,
    ),
    "a scene half a second late": (
        _by_sql(
            "UPDATE scenes SET start_seconds = start_seconds + 0.5, end_seconds = end_seconds + 0.5 "
            f"WHERE {_OF_GAMMA}"
        ),
        GAMMA,
    ),
    "a scene lost": (_by_sql(f'DELETE FROM scenes WHERE {_OF_ALPHA} AND "index" = 1'), ALPHA),
    "two films' scene ids swapped": (_swap_first_scenes, BETA),
    "a number of a vector one per cent off": (_on_matrix(_one_per_cent), ALPHA),
    "two rows of a matrix swapped": (_on_matrix(_rows_swapped), ALPHA),
    "a transposed feature matrix": (
        _by_sql(f"UPDATE features SET rows = columns, columns = rows WHERE {_OF_BETA}"),
        BETA,
    ),
    "embeddings lost, features kept": (_by_sql(f"DELETE FROM embeddings WHERE {_OF_GAMMA}"), GAMMA),
    "a label that ends before it starts": (
        _by_sql(
            "INSERT INTO labels (movie_id, start_seconds, end_seconds, vocabulary, value, source) "
            f"VALUES ({_ID.format(ALPHA)}, 3.5, 1.0, 'place', 'beach', 'places.csv')"
        ),
        ALPHA,
    ),
    "a text for a failure's size": (
        _by_sql(
            "INSERT INTO failures (path, size_bytes, modified_ns, error, failed_at) "
            "VALUES (CAST('/films/lost.mp4' AS BLOB), 'big', 0, 'no video', '2026-01-01T00:00:00+00:00')"
        ),
        "failures",
    ),
    "old vectors in the index file": (lambda folder: _refile(folder, lambda v: np.roll(v, 1, axis=0)), ALPHA),
    "another encoder's index file": (lambda folder: _refile(folder, lambda v: v[:, :64]), ".faiss"),
    "an entry of the index file lost": (
        _by_sql(f"DELETE FROM index_entries WHERE {_OF_BETA}", "UPDATE index_files SET vectors = vectors - 1"),
        ".faiss",
    ),
    "a picture that cannot be decoded": (_undecodable_picture, ALPHA),
    "two films' key frames swapped": (_keyframes_swapped, BETA),
    "a picture of another film": (_picture_of_another_film, ALPHA),
    "a picture too many": (_extra_picture, ALPHA),
    "a folder for a lock": (_lock_is_a_folder, "lock"),
    "a page of an SQL index zeroed": (_index_page_zeroed, "catalog.sqlite"),
}
