"""Reading Caffe2 checkpoints: pickles of NumPy arrays by name, which a stranger may have made.

A pickle says which functions are to be called. Here it may name those that make NumPy arrays and no other,
and what it builds is built in a child process with little memory and time, which hands over bare numbers
(safetensors): NumPy's own unpickling is not made for hostile data either. No torch is imported here.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import pickle
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2s_index.errors import WeightsError, first_line

MEMORY_LIMIT_BYTES = 6 << 30
"""Address space of the child: the published files hold about half a gigabyte."""
TIME_LIMIT_SECONDS = 300
_TRAINING_STATE = ("momentum", "lr", "model_iter")
"""Parts of the names of blobs that only training needs."""
_NUMBERS = frozenset("fiub")
"""NumPy's letters for kinds of numbers."""


def read_caffe2(path: Path) -> dict[str, NDArray[np.float32]]:
    """The blobs of a Caffe2 checkpoint by their Caffe2 names, float32, without what only training needs.

    Raises:
        WeightsError: the file is no such pickle, names anything but arrays, or is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(theirs, path), daemon=True, name="m2s unpickler")
    process.start()
    theirs.close()
    try:
        if refusal := _hear(ours, path):
            raise WeightsError(f"{path}: {refusal.decode('utf-8', 'replace')}")
        return load(_hear(ours, path))
    except (EOFError, OSError, SafetensorError) as exc:
        raise WeightsError(f"{path}: unpickling it ended the process that did it; it is damaged") from exc
    finally:
        process.kill()
        process.join()
        ours.close()


def _hear(connection: Connection, path: Path) -> bytes:
    if not connection.poll(TIME_LIMIT_SECONDS):
        raise WeightsError(f"{path}: not unpickled within {TIME_LIMIT_SECONDS} s; it is no checkpoint")
    return connection.recv_bytes(MEMORY_LIMIT_BYTES)


class ArrayUnpickler(pickle.Unpickler):
    """Builds dicts, lists, strings, numbers and NumPy arrays of numbers; refuses to name anything else."""

    def __init__(self, data: io.BufferedIOBase) -> None:
        # Python 2 wrote them: its strings are bytes that NumPy takes as Latin-1.
        super().__init__(data, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may call: of NumPy's names for them, our own makers of arrays.

        Raises:
            UnpicklingError: it names anything else.
        """
        if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            module = "multiarray"
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ADMITTED[module, name]

    def persistent_load(self, pid: object) -> Any:
        """Raises UnpicklingError: torch's storages come this way, and Caffe2 has none."""
        raise pickle.UnpicklingError("it refers to data outside itself")


def _empty_array(kind: object, shape: object, typecode: object) -> NDArray[Any]:
    """What NumPy fills with an array's state, always the same, whatever the pickle asks for."""
    return np.ndarray((0,), "b")


def _dtype(name: object, align: object, copy: object) -> np.dtype[Any]:
    # A copy: its state is set afterwards, and the original is NumPy's own.
    made = np.dtype(str(name), False, True)
    if made.kind not in _NUMBERS:
        raise pickle.UnpicklingError(f"it holds {made}, not numbers")
    return made


def _number(dtype: np.dtype[Any], data: bytes | str) -> Any:
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, dtype, count=1)[0]


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for older readers; no codec is looked up at the pickle's wish."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding!r:.40}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], object] = {
    ("multiarray", "_reconstruct"): _empty_array,
    ("multiarray", "scalar"): _number,
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): "only an argument of _reconstruct",
    ("_codecs", "encode"): _latin1,
}


def _blobs(path: Path) -> dict[str, NDArray[np.float32]]:
    """Raises ValueError where there are no arrays by name."""
    with path.open("rb") as file:
        content = ArrayUnpickler(file).load()
    blobs = content.get("blobs") if isinstance(content, dict) else None
    if not isinstance(blobs, dict) or not blobs:
        raise ValueError("there are no 'blobs' in it")
    found = {}
    for name, blob in blobs.items():
        if not isinstance(name, str):
            raise ValueError("its blobs have no names")
        if any(part in name for part in _TRAINING_STATE):
            continue
        if type(blob) is not np.ndarray or blob.dtype.kind not in _NUMBERS:
            raise ValueError(f"its blob {name!r:.80} is no array of numbers")
        found[name] = np.ascontiguousarray(blob, np.float32)
    return found


# --- in the child -------------------------------------------------------------------------------------


def _serve(connection: Connection, path: Path) -> None:
    """The child's main function: says why not, or nothing and then the arrays."""
    from safetensors.numpy import save

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        try:
            data = save(_blobs(path))
        except MemoryError:
            connection.send_bytes(b"unpickling it takes more memory than a checkpoint needs")
        except Exception as exc:  # a hostile pickle can have anything raised
            reason = f"not a Caffe2 checkpoint that can be read safely ({first_line(exc):.200}); "
            wanted = "expected a pickle of NumPy arrays under 'blobs'"
            connection.send_bytes((reason + wanted).encode())
        else:
            connection.send_bytes(b"")
            connection.send_bytes(data)


def _limit() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    # It opens no further files for writing, whatever it is made to do.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
