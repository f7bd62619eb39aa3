"""Pairs on an editor's time line, as OTIO or EDL (extra ``[exports]``): one video track on which the first pair's
scenes play one after the other, then the second pair's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from m2s_index.catalog import Catalog
from m2s_index.errors import UsageError
from m2s_index.movies import get_movie, list_shots
from m2s_index.names import display_path, printable
from m2s_index.timelines import opentimelineio, timeline_text
from m2s_index.types import Movie, ScenePair, Shot

EDL_PAIRS = 499
"""An EDL numbers its events with three digits, and a pair is two."""


@dataclass(frozen=True)
class _Film:
    movie: Movie
    shots: tuple[Shot, ...]

    @property
    def rate(self) -> Fraction:
        return self.movie.info.frame_rate

    def frame(self, shot: Shot, seconds: float) -> int:
        """The frame at a time within, or at the end of, a shot."""
        start, end = (
            float((pts - self.movie.info.start_pts) * self.movie.info.time_base)
            for pts in (shot.start_pts, shot.end_pts)
        )
        frames = shot.end_frame - shot.start_frame
        return shot.start_frame + round((seconds - start) / (end - start) * frames)


def pair_timeline(catalog: Catalog, pairs: Sequence[ScenePair], name: str, kind: str) -> str:
    """The time line as text, to the frame.

    Each clip is named by its film's file and has its film's own rate. OTIO has a marker at its start that names the
    pair, and in its ``m2s`` metadata what is known of it, the rate exactly. An EDL names the pair in a comment, has
    one rate, and holds the best ``EDL_PAIRS`` pairs.

    Args:
        catalog: where the films are.
        pairs: in order, at least one.
        name: the time line's.
        kind: "otio" or "edl".

    Raises:
        UsageError: there are no pairs; the films have several rates, or one without timecode (EDL).
        MissingExtraError: OpenTimelineIO is not installed.
    """
    otio = opentimelineio()
    if not pairs:
        raise UsageError("there are no pairs to put on a time line")
    if kind == "edl":
        pairs = pairs[:EDL_PAIRS]
    with catalog.read() as session:
        films = {
            movie_id: _read_film(session, movie_id)
            for movie_id in dict.fromkeys(scene.movie_id for pair in pairs for scene in (pair.a, pair.b))
        }
    first = films[pairs[0].a.movie_id]
    rate = first.rate
    if kind == "edl" and (other := next((film for film in films.values() if film.rate != rate), None)):
        raise UsageError(
            f"an EDL has one frame rate, and {first.movie.name} has {float(rate):.3f} frames a second, "
            f"{other.movie.name} {float(other.rate):.3f}: use --otio"
        )
    timeline = otio.schema.Timeline(printable(name))
    timeline.global_start_time = otio.opentime.RationalTime(0, float(rate))
    track = otio.schema.Track("V", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    for pair in pairs:
        for side, scene in (("a", pair.a), ("b", pair.b)):
            track.append(_clip(otio, kind, pair, side, films[scene.movie_id]))
    return timeline_text(timeline, kind, rate, first.movie.name)


def _read_film(session: Session, movie_id: int) -> _Film:
    return _Film(get_movie(session, movie_id), tuple(list_shots(session, movie_id)))


def _clip(otio: Any, kind: str, pair: ScenePair, side: str, film: _Film) -> Any:
    time, rate, scene = otio.opentime, float(film.rate), pair.a if side == "a" else pair.b
    first = film.frame(film.shots[scene.first_shot], scene.start_seconds)
    end = film.frame(film.shots[scene.end_shot - 1], scene.end_seconds)
    start, path = time.RationalTime(first, rate), Path(film.movie.path)
    media = otio.schema.ExternalReference(
        path.as_uri(),
        time.TimeRange(time.RationalTime(0, rate), time.RationalTime(film.shots[-1].end_frame, rate)),
    )
    span = time.TimeRange(start, time.RationalTime(end - first, rate))
    clip = otio.schema.Clip(printable(display_path(path.name)), media, span)
    title = f"pair {pair.rank}{side}, score {pair.score:.3f}"
    # A marker of an EDL is at a time of the whole list, which its adapter does not know: there it is a comment. The
    # adapter's own names of reels are the first letters of file names, which two films may share.
    clip.metadata["cmx_3600"] = {"comments": [title.upper()], "reel": f"M{film.movie.movie_id}"}
    clip.metadata["m2s"] = {
        "pair": pair.rank,
        "side": side,
        "kind": pair.kind,
        "score": pair.score,
        "percentile": pair.percentile,
        "scene_id": scene.scene_id,
        "index": scene.index,
        "frame_rate": f"{film.rate.numerator}/{film.rate.denominator}",
    }
    if kind == "otio":
        colour = otio.schema.MarkerColor.GREEN if side == "a" else otio.schema.MarkerColor.BLUE
        clip.markers.append(otio.schema.Marker(title, time.TimeRange(start, time.RationalTime(0, rate)), colour))
    return clip
