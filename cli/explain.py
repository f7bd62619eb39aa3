"""``m2s explain``: which shots of two scenes are alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from m2s_index.cli.options import GivenPath, catalog_option, format_options
from m2s_index.cli.output import clock, print_csv, print_json, print_table, say
from m2s_index.cli.query import scene_json

if TYPE_CHECKING:
    from m2s_index.pairing.explain import Explanation, SceneShot

SHOT_COLUMNS = ("index", "start_seconds", "end_seconds")


@click.command()
@click.argument("scene", metavar="SCENE")
@click.argument("other", metavar="OTHER")
@catalog_option
@click.option("--encoder", "encoder_name", help="Whose shot features to compare.  [default: the catalogue's]")
@click.option("--html", type=GivenPath(dir_okay=False, path_type=Path), help="Also write a page with key frames.")
@format_options("table", "json", "csv")
def explain(
    scene: str, other: str, catalog_folder: Path, encoder_name: str | None, html: Path | None, output_format: str
) -> None:
    """Show which shots of SCENE are like which of OTHER.

    Scenes are written as for 'm2s query': 12, MOVIE#7 or MOVIE@1:02:03. First come all shots of the one against all
    of the other, then the best-matching shots, each in one match at most, best first.
    """
    from m2s_index.catalog import Catalog
    from m2s_index.pairing.explain import explain_pair

    with Catalog.open(catalog_folder) as catalog:
        found = explain_pair(catalog, scene, other, encoder_name)
        if html:
            from m2s_index.cli.explain_page import write_explanation

            write_explanation(html, catalog, found)
            say(f"page: {html}")
    if output_format == "json":
        print_json(_as_json(found))
    elif output_format == "csv":
        header = ("rank", "score", *(f"{name}_{side}" for side in "ab" for name in SHOT_COLUMNS))
        shots = [(match, _shot_json(match.a), _shot_json(match.b)) for match in found.matches]
        print_csv(header, ((match.rank, match.score, *a.values(), *b.values()) for match, a, b in shots))
    else:
        _print_tables(found)


def _as_json(found: Explanation) -> dict[str, Any]:
    return {
        "encoder": found.encoder,
        "score": found.score,
        "a": {**scene_json(found.a), "shots": [_shot_json(shot) for shot in found.shots_a]},
        "b": {**scene_json(found.b), "shots": [_shot_json(shot) for shot in found.shots_b]},
        "similarities": found.similarities.tolist(),
        "matches": [
            {"rank": match.rank, "score": match.score, "a": _shot_json(match.a), "b": _shot_json(match.b)}
            for match in found.matches
        ],
    }


def _shot_json(shot: SceneShot) -> dict[str, Any]:
    return {
        "index": shot.index,
        "start_seconds": round(shot.start_seconds, 6),
        "end_seconds": round(shot.end_seconds, 6),
    }


def _print_tables(found: Explanation) -> None:
    """The similarities, those of matches with a star; then the matches."""
    matched = {(match.a.index, match.b.index) for match in found.matches}
    names = [f"{scene.movie}#{scene.index}" for scene in (found.a, found.b)]
    print_table(
        ("shot", "from", *(f"{shot.index} " for shot in found.shots_b)),
        (
            (
                shot.index,
                clock(shot.start_seconds),
                *(
                    f"{score:.2f}" + ("*" if (shot.index, other.index) in matched else " ")
                    for score, other in zip(row, found.shots_b, strict=True)
                ),
            )
            for shot, row in zip(found.shots_a, found.similarities.tolist(), strict=True)
        ),
        title=f"{names[0]} (down) and {names[1]} (across), score {found.score:.3f} by {found.encoder}, by shots",
    )
    click.echo()
    print_table(
        ("rank", "score", "shot", "from", "to", "shot", "from", "to"),
        ((match.rank, match.score, *_cells(match.a), *_cells(match.b)) for match in found.matches),
        title="best-matching shots",
    )


def _cells(shot: SceneShot) -> tuple[int, str, str]:
    return shot.index, clock(shot.start_seconds), clock(shot.end_seconds)
