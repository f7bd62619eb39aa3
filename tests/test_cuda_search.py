"""The GPU's index gives the CPU's answers. Needs a FAISS with GPU support, and a GPU."""

from __future__ import annotations

import os

import numpy as np
import pytest
from catalog_factory import add, make_encoder, unit_rows

from m2s_index.catalog import Catalog
from m2s_index.gpu_search import gpu_index
from m2s_index.index_writer import write_index
from m2s_index.matrices import find_encoder
from m2s_index.search import Searcher
from m2s_index.types import SceneEmbeddings
from m2s_index.vectors import build_index, faiss_module

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def needs_gpu():
    if faiss_module().get_num_gpus() == 0 and not os.environ.get("FAIL_WITHOUT_CUDA"):
        pytest.skip("this FAISS sees no GPU")


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("kind", ["exact", "compressed"])
def test_an_index_moved_to_the_gpu_finds_the_same(kind, metric):
    rows, ids = unit_rows(np.random.default_rng(0), 20_000, 64), np.arange(20_000) * 3 + 5
    cpu = build_index(kind, metric, 64, len(ids), lambda: iter([SceneEmbeddings(ids, rows)]))
    gpu, note = gpu_index(cpu)
    assert gpu is not None, note
    cpu_ids, cpu_values = cpu.search(rows[:100], 10)
    gpu_ids, gpu_values = gpu.search(rows[:100], 10)
    np.testing.assert_allclose(gpu_values, cpu_values, atol=1e-4)
    assert (gpu_ids == cpu_ids).mean() > (0.999 if kind == "exact" else 0.9)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("k", [1, 10, 3000])
def test_a_search_on_the_gpu_equals_one_on_the_cpu(tmp_path, metric, k):
    """Ids and distances, ties included, and with more hits than a GPU index returns."""
    random = np.random.default_rng(0)
    with Catalog.open(tmp_path, create=True) as catalog:
        pool = unit_rows(random, 700, 32)
        for i in range(40):
            rows = pool[random.integers(len(pool), size=100)]
            add(catalog, f"/f/{i}.mkv", rows, encoder=make_encoder(dimension=32, metric=metric))
        with catalog.reader() as reader:
            encoder = find_encoder(reader, None)
        write_index(catalog, encoder)
        with Searcher(catalog) as gpu, Searcher(catalog, use_gpu=False) as cpu:
            assert gpu.device_note == "searching on the GPU"
            for scene_id in range(1, 4000, 400):
                assert gpu.search_scene(scene_id, k) == cpu.search_scene(scene_id, k)
