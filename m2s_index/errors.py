"""Every error that m2s raises on purpose.

    M2SError
    ├── UsageError                what was asked for cannot be (wrong reference, wrong option): exit status 2
    │   ├── UnknownReferenceError       a movie or scene reference that names nothing, or more than one thing
    │   └── MissingExtraError     an optional dependency is not installed
    ├── VideoError                a file that cannot be read as film
    │   ├── NotVideoError         … because it holds no film at all (text, audio, a picture)
    │   └── DamagedVideoError     … because too little of it can be decoded
    ├── EncoderError              an encoder that cannot be made or run
    │   └── WeightsError          … because its weights are missing or do not fit
    ├── CatalogError              a catalogue that cannot be opened or written
    │   ├── CatalogMissingError   there is none in that folder
    │   ├── CatalogVersionError   its schema is of a newer m2s
    │   ├── CatalogDamagedError   it is not a database, or not one of ours
    │   └── KeyFrameError         a film's key-frame file is missing or damaged
    ├── TrainingError             a training that cannot go on
    ├── IndexFileError            a FAISS file that is missing, stale or damaged (rebuilt from the catalogue)
    └── WorkerError               a worker process that died, hung or broke the protocol

A message says what failed, on which input, and what to do about it.
"""

from __future__ import annotations


class M2SError(Exception):
    """Root of all errors that m2s raises on purpose."""


class UsageError(M2SError):
    """What was asked for cannot be: a wrong reference, option or combination."""


class UnknownReferenceError(UsageError):
    """A movie or scene reference that names nothing, or more than one thing."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the message names the extra."""


class VideoError(M2SError):
    """A file that cannot be read as film."""


class NotVideoError(VideoError):
    """A file that holds no film: text, audio only, a picture, nothing at all."""


class DamagedVideoError(VideoError):
    """A film of which too little can be decoded."""


class EncoderError(M2SError):
    """An encoder that cannot be made or run."""


class WeightsError(EncoderError):
    """Weights that are missing, damaged or of another model."""


class CatalogError(M2SError):
    """A catalogue that cannot be opened or written."""


class CatalogMissingError(CatalogError):
    """There is no catalogue in that folder."""


class CatalogVersionError(CatalogError):
    """The catalogue's schema is of a newer m2s."""


class CatalogDamagedError(CatalogError):
    """The catalogue's file is no database, or not one of ours."""


class KeyFrameError(CatalogError):
    """A film's key-frame file is missing or damaged; the film has to be read again."""


class TrainingError(M2SError):
    """A training that cannot go on: its numbers are no longer finite, or its files cannot be written."""


class IndexFileError(M2SError):
    """A FAISS file that is missing, stale or damaged; it can be rebuilt from the catalogue."""


class WorkerError(M2SError):
    """A worker process that died, hung or broke the protocol."""


def first_line(exc: BaseException) -> str:
    """The first line of another library's error: some go on with a stack trace."""
    lines = str(exc).strip().splitlines()
    return lines[0] if lines else type(exc).__name__
