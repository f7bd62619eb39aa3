"""A FAISS index moved to a GPU, where there is one that works."""

from __future__ import annotations

from typing import Any

import numpy as np

from m2s_index.errors import first_line
from m2s_index.types import Metric
from m2s_index.vectors import VectorIndex, faiss_module, flat_index

MAX_GPU_NEIGHBOURS = 2048
"""More, FAISS's GPU indexes do not return."""


def gpu_index(index: VectorIndex) -> tuple[VectorIndex | None, str]:
    """The index on the GPU, where one is there and a real add-and-search on it gives the CPU's answer.

    Returns:
        The index, or None where it stays on the CPU; and a line that says why. The GPU's index takes no
        selection and gives back no rows: keep the CPU's for both.
    """
    faiss = faiss_module()
    gpus = faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0
    if not gpus:
        return None, "searching on the CPU: this FAISS sees no GPU"
    if index.kind == "graph":
        return None, "searching on the CPU: a graph index has no GPU form"
    try:
        resources = faiss.StandardGpuResources()
        _probe_gpu(resources, index.metric)
        moved = faiss.index_cpu_to_gpu(resources, 0, index.inner)
    except (RuntimeError, AssertionError, MemoryError) as exc:
        return None, f"searching on the CPU: the GPU failed its test ({first_line(exc)})"
    # FAISS does not keep the resources alive by itself.
    moved.m2s_resources = resources
    gpu = VectorIndex(index.kind, index.metric, index.dimension, index.ids, moved, moved, on_gpu=True)
    return gpu, "searching on the GPU"


def _probe_gpu(resources: Any, metric: Metric) -> None:
    faiss = faiss_module()
    rows = np.random.default_rng(0).standard_normal((1024, 32), dtype=np.float32)
    cpu = flat_index(metric, 32)
    cpu.add(rows)
    gpu = faiss.index_cpu_to_gpu(resources, 0, flat_index(metric, 32))
    gpu.add(rows)
    if not np.array_equal(cpu.search(rows[:8], 4)[1], gpu.search(rows[:8], 4)[1]):
        raise RuntimeError("it finds other neighbours than the CPU")
