"""The key-frame store: the frames that stand for a film's shots, one file a film.

The file is a ZIP of JPEG pictures, stored and not compressed again, named ``shot-frame.jpg``. Encoders
read key frames from these very pictures, at build time as well: what a film is embedded from can be read
again without the film.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from m2s_index.errors import CatalogError, KeyFrameError
from m2s_index.files import sync_folder
from m2s_index.types import Crop, Image

if TYPE_CHECKING:
    from PIL import Image as PillowImage

JPEG_QUALITY = 88
LARGEST_PICTURE_PX = 1 << 26
"""A stored picture that claims more pixels is refused before it is decoded."""
LARGEST_PICTURE_BYTES = 1 << 26
_FILE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*\.zip", re.ASCII)


@dataclass(frozen=True)
class StoredKeyFrames:
    """What tells a film's key-frame file from any other."""

    size_bytes: int
    sha256: str


def encode_jpeg(picture: Image) -> bytes:
    """A picture as it is stored."""
    from PIL import Image as PillowImage

    data = io.BytesIO()
    PillowImage.fromarray(picture).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


def decode_jpeg(data: bytes, crop: Crop | None = None) -> Image:
    """A stored picture inside its bars: RGB, uint8 [height, width, 3].

    Raises:
        KeyFrameError: it is no JPEG picture, or claims an absurd size.
    """
    with _opened(data) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    if crop is None:
        return pixels
    bottom, right = crop.top_px + crop.height_px, crop.left_px + crop.width_px
    return np.ascontiguousarray(pixels[crop.top_px : bottom, crop.left_px : right])


def decode_luma(data: bytes, crop: Crop | None, side_px: int) -> NDArray[np.int16]:
    """A stored picture's brightness inside its bars: int16 [height, width] in [0, 255], the longer side at most
    ``side_px``. Where half the size or less is enough, no more than that is decoded.

    Raises:
        KeyFrameError: it is no JPEG picture, or claims an absurd size.
    """
    from PIL import Image as PillowImage

    with _opened(data) as picture:
        whole = picture.width
        picture.draft("L", (side_px, side_px * picture.height // picture.width))
        grey = picture.convert("L")
    if crop is not None:
        scale = grey.width / whole
        left, top = round(crop.left_px * scale), round(crop.top_px * scale)
        right, bottom = round((crop.left_px + crop.width_px) * scale), round((crop.top_px + crop.height_px) * scale)
        grey = grey.crop((left, top, right, bottom))
    grey.thumbnail((side_px, side_px), PillowImage.Resampling.BOX)
    return np.asarray(grey).astype(np.int16)


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[PillowImage.Image]:
    """A stored picture, not decoded yet; errors of the block that decodes it are ours."""
    from PIL import Image as PillowImage

    try:
        with PillowImage.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            if picture.width * picture.height > LARGEST_PICTURE_PX:
                raise KeyFrameError(f"a key frame claims {picture.width}×{picture.height} pixels")
            yield picture
    except (OSError, SyntaxError, PillowImage.DecompressionBombError) as exc:
        raise KeyFrameError(f"a key frame cannot be decoded ({exc}); run 'm2s index repair'") from exc


def _entry(shot: int, frame: int) -> str:
    return f"{shot:06d}-{frame}.jpg"


def keyframe_path(folder: Path, name: str) -> Path:
    """Where a film's key frames are. The name comes from the database: it may not lead out of the folder.

    Raises:
        KeyFrameError: it would.
    """
    if not _FILE_NAME.fullmatch(name):
        raise KeyFrameError(f"'{name}' is no name of a key-frame file; run 'm2s index repair'")
    return folder / name


def stored_keyframes(path: Path) -> StoredKeyFrames:
    """What a key-frame file is at present.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return StoredKeyFrames(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def delete_keyframes(folder: Path, name: str) -> None:
    """Delete a film's key-frame file, if there is one; a name that leads elsewhere is left alone."""
    with contextlib.suppress(KeyFrameError):
        keyframe_path(folder, name).unlink(missing_ok=True)


class KeyFrameWriter:
    """Writes one film's key frames to a temporary file, and gives it its name when it is whole."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = keyframe_path(folder, name)
        self._temporary = folder / f".{name}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._zip = zipfile.ZipFile(self._temporary, "w", zipfile.ZIP_STORED)
        except OSError as exc:
            raise self._cannot_write(exc) from exc

    def add(self, shot: int, pictures: Sequence[bytes]) -> None:
        """Append a shot's pictures, as ``encode_jpeg`` made them."""
        try:
            for number, data in enumerate(pictures):
                # A fixed time: equal films give equal files.
                self._zip.writestr(zipfile.ZipInfo(_entry(shot, number)), data)
        except OSError as exc:
            raise self._cannot_write(exc) from exc

    def commit(self) -> StoredKeyFrames:
        """Sync the file, give it its name; returns what it is to be known by."""
        try:
            self._zip.close()
            with self._temporary.open("rb") as file:
                os.fsync(file.fileno())
            stored = stored_keyframes(self._temporary)
            self._temporary.rename(self.path)
            sync_folder(self.path.parent)
            return stored
        except OSError as exc:
            raise self._cannot_write(exc) from exc

    def discard(self) -> None:
        """Drop what was written."""
        with contextlib.suppress(OSError):
            self._zip.close()
        self._temporary.unlink(missing_ok=True)

    def _cannot_write(self, exc: OSError) -> CatalogError:
        return CatalogError(f"cannot write key frames in {self.path.parent}: {exc.strerror}")


class KeyFrameReader:
    """Reads one film's key frames. Use it as a context manager."""

    def __init__(self, folder: Path, name: str) -> None:
        """Open the file.

        Raises:
            KeyFrameError: it is missing or damaged.
        """
        path = keyframe_path(folder, name)
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, RuntimeError, ValueError) as exc:
            raise KeyFrameError(f"the key frames in {path} cannot be read ({exc}); run 'm2s index repair'") from exc
        self._names = set(self._zip.namelist())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    @property
    def pictures(self) -> int:
        """How many pictures there are."""
        return len(self._names)

    def is_whole(self) -> bool:
        """Whether every picture has the checksum it was stored with."""
        try:
            return self._zip.testzip() is None
        except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, ValueError):
            return False

    def read(self, shot: int) -> list[bytes]:
        """A shot's pictures in order, as stored.

        Raises:
            KeyFrameError: there are none, or the file is damaged.
        """
        found: list[bytes] = []
        try:
            while (name := _entry(shot, len(found))) in self._names:
                if self._zip.getinfo(name).file_size > LARGEST_PICTURE_BYTES:
                    raise KeyFrameError(f"{self._zip.filename}: {name} claims an absurd size")
                found.append(self._zip.read(name))
        except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, ValueError) as exc:
            raise KeyFrameError(
                f"the key frames in {self._zip.filename} are damaged ({exc}); run 'm2s index repair'"
            ) from exc
        if not found:
            raise KeyFrameError(
                f"the key frames of shot {shot} are not in {self._zip.filename}; run 'm2s index repair'"
            )
        return found
