"""Many small procedural films of one place each, whose like is known: scenes in the same place, in any film."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from m2s_index.procedural import Mix, film_frames, make_film, write_video

MIX = Mix(shot_frames=(10, 12), transitions=(("cut", 1.0),), cameras=(("static", 1.0),), event_share=0)


def write_place_films(folder: Path, places: Iterable[str], films: int, seed: int, *, shots: int = 6) -> Path:
    """``films`` films of each place, called as it, of so many shots, and a table of metadata whose genre is the
    place.
    """
    folder.mkdir()
    rows = ["movie,title,year,genres"]
    for number, place in enumerate(places):
        for copy in range(films):
            name = f"{place} {seed + copy}"
            film = make_film(seed + 100 * number + copy, shots=shots, places=[place], size=(160, 90), mix=MIX)
            write_video(folder / f"{name}.mp4", film_frames(film), rate=24)
            rows.append(f"{name}.mp4,{name},2000,{place}")
    (folder / "movies.csv").write_text("\n".join(rows) + "\n")
    return folder
