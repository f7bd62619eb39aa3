"""Films with themes: what the truth says is in the pictures, and neither cuts nor colours give a theme away."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m2s_index.procedural import film_frames, film_truth, load_truth, render
from m2s_index.procedural.stories import GENRES, StoryFilm, make_world, story_film
from m2s_index.procedural.themes import BEATS, THEMES, Beat, Beats, play

OPPOSITES = (("feast", "parting"), ("chase", "escape"), ("approach", "farewell"))


def full(beats: Beats) -> list[tuple[int, Beat]]:
    """The shots that show somebody, numbered."""
    return [(number, beat) for number, beat in enumerate(beats) if beat.marks]


def played(theme: str, seed: int) -> Beats:
    return play(theme, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(20))
def test_each_theme_keeps_its_rule(seed: int) -> None:
    """Who is there, where they stand and where the light comes from go as the theme says, shot after shot."""
    people = [len(beat.marks) for _, beat in full(played("feast", seed))]
    assert people == sorted(people)
    assert people[-1] == 5
    gaps = [abs(beat.marks[0].x - beat.marks[1].x) for _, beat in full(played("chase", seed))]
    assert gaps[0] > 0.6 > 0.25 > gaps[-1]
    assert np.corrcoef(gaps, range(len(gaps)))[0, 1] < -0.95
    behind = {(b.marks[0].x < b.marks[1].x) == b.marks[0].right for _, b in full(played("chase", seed))}
    assert behind == {True}
    heights = [beat.marks[0].height for _, beat in full(played("approach", seed))]
    assert heights == sorted(heights)
    assert heights[-1] > 2 * heights[0]
    turns = [(number % 2, beat.marks[0].x < 0.5) for number, beat in full(played("duel", seed))]
    assert len(set(turns)) == 2
    vigil = played("vigil", seed)
    assert [beat.light for beat in vigil] == sorted(beat.light for beat in vigil)
    assert {beat.marks[0].person for _, beat in full(vigil)} == {full(vigil)[0][1].marks[0].person}
    assert np.ptp([beat.marks[0].x for _, beat in full(vigil)]) <= 0.1


@pytest.mark.parametrize(("theme", "opposite"), OPPOSITES)
def test_opposites_have_the_same_shots_in_another_order(theme: str, opposite: str) -> None:
    """One of them is the other backwards: no shot by itself tells which it is."""
    for seed in range(10):
        forth, back = (played(name, seed) for name in (theme, opposite))
        shown = [(beat.light, beat.framing, beat.marks) for beat in forth if beat.marks]
        reverse = [(beat.light, beat.framing, beat.marks) for beat in back[::-1] if beat.marks]
        assert [s for s in shown if s in reverse] == [s for s in reverse if s in shown]
        assert len([s for s in shown if s in reverse]) >= 4


def test_every_kind_of_shot_is_of_several_themes() -> None:
    """How many there are and how near they come does not tell a theme, in any one shot."""
    kinds: dict[tuple[int, bool], set[str]] = {}
    for theme in THEMES:
        for seed in range(100):
            for beat in played(theme, seed):
                face = any(mark.height >= 1 for mark in beat.marks)
                kinds.setdefault((len(beat.marks), face), set()).add(theme)
    assert set(kinds) == {(0, False), (1, False), (1, True), (2, False), (3, False), (4, False), (5, False)}
    assert min(len(themes) for themes in kinds.values()) >= 2


def test_every_theme_has_the_same_lights_and_framings() -> None:
    """Their order is the theme's, what there is of them is not."""
    kinds = {
        theme: (Counter(beat.framing for beat in beats), sorted(beat.light for beat in beats))
        for theme in THEMES
        for beats in (played(theme, 3),)
    }
    assert all(kind == kinds["vigil"] for kind in kinds.values())


def test_unknown_theme_is_named_with_those_there_are() -> None:
    """A wrong name does not become some scene."""
    with pytest.raises(ValueError, match=r"no theme 'brawl'; there are feast, .*vigil"):
        play("brawl", np.random.default_rng(0))


def test_genres_share_themes_and_places_serve_several() -> None:
    """No theme is of one genre alone, and none of one place."""
    assert set(Counter(theme for themes in GENRES.values() for theme in themes).values()) == {2}
    world = make_world(4, films=60)
    pairs = {
        (theme, shot.place)
        for film in world.films
        for theme, shot in zip(film.themes, film.spec.shots[::BEATS], strict=True)
    }
    assert min(Counter(place for _, place in pairs).values()) >= 5
    assert min(Counter(theme for theme, _ in pairs).values()) >= 8
    for film in world.films:
        assert sum(theme in GENRES[film.genre] for theme in film.themes) >= 5


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoryFilm, Path]:
    made = story_film(5, 0, scenes=4, themes=("feast", "vigil", "parting", "duel"))
    path = tmp_path_factory.mktemp("stories") / made.spec.file_name
    render(made.spec, path)
    return made, path


def test_truth_beside_the_film_names_theme_and_place_of_each_scene(film: tuple[StoryFilm, Path]) -> None:
    """Scenes are nine shots exactly."""
    made, path = film
    truth = load_truth(path)
    assert [scene.theme for scene in truth.scenes] == list(made.themes)
    assert [scene.place for scene in truth.scenes] == [shot.place for shot in made.spec.shots[::9]]
    assert [scene.end_shot - scene.first_shot for scene in truth.scenes] == [9] * 4
    assert len({scene.place for scene in truth.scenes}) == 2  # the film comes back to its sets
    assert truth == film_truth(made.spec, path.stem)


def test_people_stand_where_the_truth_says(film: tuple[StoryFilm, Path]) -> None:
    """Without the people of a vigil its pictures change most where they stood."""
    spec = film[0].spec
    nobody = tuple(
        replace(shot, direction=replace(shot.direction, marks=())) for shot in spec.shots if shot.direction
    )
    there, gone = (
        np.stack(list(film_frames(changed))).astype(float) for changed in (spec, replace(spec, shots=nobody))
    )
    seen = 0
    for start, shot in list(zip(spec.start_frames, spec.shots, strict=False))[BEATS : 2 * BEATS]:
        assert shot.direction is not None
        for mark in shot.direction.marks if shot.framing != "close" else ():  # there the place is out of focus
            frame = start + shot.length_frames // 2
            columns = np.abs(there[frame] - gone[frame]).mean(axis=(0, 2))
            peak = np.convolve(columns, np.ones(9), "same").argmax() / len(columns)
            assert abs(peak - mark.x) < 0.12
            seen += 1
    assert seen >= 4


def test_mean_colours_are_those_that_were_drawn(film: tuple[StoryFilm, Path]) -> None:
    """Whoever is in the picture, and whatever place it is."""
    made, _ = film
    frames = list(film_frames(made.spec))
    for start, shot in zip(made.spec.start_frames, made.spec.shots, strict=False):
        assert shot.direction is not None
        mean = frames[start + shot.length_frames // 2].mean(axis=(0, 1))
        assert mean - shot.direction.colour == pytest.approx([2.3] * 3, abs=0.7)  # 2.3 is the grain's


def test_equal_seeds_make_equal_worlds() -> None:
    """And another seed makes another one."""
    first, again, other = (make_world(seed, films=5) for seed in (6, 6, 7))
    assert first == again
    assert [film.themes for film in first.films] != [film.themes for film in other.films]


def test_look_does_not_depend_on_themes() -> None:
    """With other themes a film has the same cuts, places, cameras and mean colours."""
    looks = []
    for themes in (("feast",) * 6, ("vigil",) * 6, ("escape", "duel") * 3):
        spec = story_film(8, 3, themes=themes).spec
        looks.append(
            [(s.length_frames, s.place, s.camera, s.offset, s.direction.colour) for s in spec.shots if s.direction]
        )
    assert looks[0] == looks[1] == looks[2]


def test_cut_lengths_and_mean_colours_say_nothing_of_themes() -> None:
    """A nearest-centroid classifier on either is right about as often as by chance."""
    films = make_world(9, films=120).films
    shots = [film.spec.shots for film in films]
    lengths = np.array([[s.length_frames for s in film] for film in shots], float).reshape(-1, BEATS)
    colours = np.array([[s.direction.colour for s in film if s.direction] for film in shots]).reshape(-1, BEATS * 3)
    themes = np.array([film.themes for film in films]).ravel()
    half = len(themes) // 2
    for features in (lengths, colours, np.sort(lengths, axis=1), colours.reshape(-1, BEATS, 3).mean(axis=1)):
        centroids = np.stack([features[:half][themes[:half] == theme].mean(axis=0) for theme in THEMES])
        nearest = ((features[half:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
        right = float((np.array(list(THEMES))[nearest] == themes[half:]).mean())
        assert right < 1 / len(THEMES) + 0.05


def test_metadata_follow_the_story() -> None:
    """People like films of their genres, and synopses tell what happens."""
    world = make_world(10, films=80)
    liked: Counter[tuple[str, str]] = Counter()
    by_person: dict[int, list[str]] = {}
    for rating in world.ratings:
        assert rating.stars in {half / 2 for half in range(1, 11)}
        if rating.stars >= 4:
            by_person.setdefault(rating.person, []).append(world.films[rating.film].genre)
    for genres in by_person.values():
        liked.update((a, b) for i, a in enumerate(genres) for b in genres[:i])
    same = sum(count for (a, b), count in liked.items() if a == b)
    share = Counter(film.genre for film in world.films)
    chance = sum((count / 80) ** 2 for count in share.values())
    assert same / liked.total() > 2 * chance
    chased = [film for film in world.films if "pursuer" in film.synopsis or "chase" in film.synopsis]
    assert len(chased) >= 5
    assert all("chase" in film.themes for film in chased)
