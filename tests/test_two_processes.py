"""A search while another process adds, removes and writes index files: each answer is of one whole state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from catalog_factory import add, make_encoder

from m2s_index.catalog import Catalog
from m2s_index.index_writer import write_index
from m2s_index.matrices import find_encoder
from m2s_index.search import Searcher
from m2s_index.sessions import reader_of

SCENES, DIMENSION, SECONDS = 40, 8, 6

WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from catalog_factory import add, make_encoder
from m2s_index.catalog import Catalog
from m2s_index.index_writer import write_index
from m2s_index.matrices import find_encoder
from m2s_index.movies import remove_movie
from m2s_index.sessions import reader_of

with Catalog.open(Path(sys.argv[1]), writable=True) as catalog:
    with catalog.read() as session:
        encoder = find_encoder(reader_of(session), None)
    random, there, number = np.random.default_rng(0), [], 0
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        if len(there) < 3 or random.random() < 0.5:
            rows = random.standard_normal((int(sys.argv[3]), encoder.identity.dimension)).astype(np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            there.append(add(catalog, f"/films/{number}.mkv", rows, encoder=encoder.identity))
            number += 1
        else:
            with catalog.write() as session:
                remove_movie(session, there.pop(int(random.integers(len(there)))))
        if random.random() < 0.7:
            write_index(catalog, encoder)
    print(number)
"""


@pytest.mark.slow
def test_searches_while_another_process_changes_all(tmp_path: Path) -> None:
    """For some seconds films come and go and the index file is replaced, as fast as that can be. A searcher
    that stays open and others that are just opened find whole films only, each scene once, in order, and
    never fail.
    """
    encoder = make_encoder(dimension=DIMENSION)
    with Catalog.open(tmp_path, create=True) as catalog:
        rows = np.eye(DIMENSION, dtype=np.float32)[np.arange(SCENES) % DIMENSION]
        add(catalog, "/films/stays.mkv", rows, encoder=encoder)
        with catalog.read() as session:
            stored = find_encoder(reader_of(session), None)
        write_index(catalog, stored)
        generations = set()
        arguments = [sys.executable, "-c", WRITER, str(tmp_path), str(SECONDS), str(SCENES)]
        writer = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent
        )
        films_seen, searches = set(), 0
        with Searcher(catalog) as stays_open:
            while writer.poll() is None:
                for searcher in (stays_open, Searcher(catalog)):
                    result = searcher.search_scene(1, 100_000)
                    assert result.notes == ()
                    found = [hit.scene.movie for hit in result.hits]
                    whole = {name: SCENES - (name == "stays") for name in found}
                    assert {name: found.count(name) for name in whole} == whole
                    assert len({hit.scene.scene_id for hit in result.hits}) == len(result.hits)
                    distances = [hit.distance for hit in result.hits]
                    assert distances == sorted(distances)
                    films_seen.add(len(whole))
                    if searcher is not stays_open:
                        searcher.close()
                    searches += 1
                generations |= {path.name for path in (tmp_path / "index").glob("*.faiss")}
        said = writer.communicate()
        assert writer.returncode == 0, said
    assert int(said[0]) > 5
    assert len(films_seen) > 2
    assert len(generations) > 3
    assert searches > 20
    assert len(list((tmp_path / "index").iterdir())) == 1
