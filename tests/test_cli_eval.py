"""``m2s eval``: the paper's table from films to figures, in every form it is written in."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from catalog_contents import sql
from plain_builds import MeanColour, library_build
from tiny_films import write_tiny_film

from m2s_index.cli.report_curves import legend_name
from m2s_index.lvu import read_lvu

PLACES = ("office", "airport", "school", "hotel", "prison", "restaurant")


@pytest.fixture(scope="module")
def clips(shared_data, tmp_path_factory):
    """A folder of films under ids of LVU's place task: of each place one query and two of the gallery."""
    labels = shared_data / "annotations" / "lvu_1.0"
    if not labels.exists():
        pytest.skip(f"no {labels}")
    folder = tmp_path_factory.mktemp("clips")
    seed = 0
    for split, count in (("val", 1), ("train", 2)):
        found = read_lvu(labels / "scene" / f"{split}.csv")
        for place in PLACES:
            for clip in [clip for clip in found if clip.value == place][:count]:
                seed += 1
                write_tiny_film(folder / f"{clip.video_id}.mp4", seed, 2 + seed % 9, shot_frames=(5, 7))
    write_tiny_film(folder / "not_of_lvu.mp4", 99, 2)
    (folder / "lvu_1.0").symlink_to(labels)
    return folder


@pytest.fixture(scope="module")
def measured(clips, tmp_path_factory, m2s):
    """The catalogue that ``eval lvu`` made of them, and what it said."""
    catalog = tmp_path_factory.mktemp("lvu") / "catalog"
    given = ("--encoder", "gist", "--catalog", catalog, "--workers", "1")
    return catalog, m2s("eval", "lvu", "--task", "scene", "--videos", clips, "--json", *given)


def test_lvu_from_clips_to_table(measured, clips):
    """Each clip that is there is one scene called as its id; those that are not are counted and named."""
    catalog, ran = measured
    assert ran.status == 0, ran.stderr
    (encoder,) = ran.json()["encoders"]
    assert encoder["name"] == "gist"
    assert [row["label"] for row in encoder["rows"]] == list(PLACES)
    assert [(row["queries"], row["relevant"]) for row in encoder["rows"]] == [(1, 2)] * 6
    assert encoder["all"]["queries"] == 6
    assert {"p@1", "p@5", "p@10", "r_precision", "map"} <= encoder["all"].keys()
    assert ran.json()["gallery"] == {"place": 12}
    assert "659 clips are not in" in ran.stderr
    assert "and 639 more" in ran.stderr
    missing = ran.json()["missing_clips"]
    assert len(missing) == 659
    assert not {path.stem for path in clips.glob("*.mp4")} & set(missing)
    names = {row[0] for row in sql(catalog, "SELECT name FROM movies")}
    assert names == {path.stem for path in clips.glob("*.mp4")} - {"not_of_lvu"}
    assert sql(catalog, "SELECT count(*) FROM scenes") == [(18,)]


def test_lvu_again_with_one_more_encoder(measured, clips, m2s, tmp_path):
    """Nothing is read or added twice; encoders stand side by side, and differences are to the first."""
    catalog = shutil.copytree(measured[0], tmp_path / "catalog")
    library_build(catalog, MeanColour())
    before = sql(catalog, "SELECT count(*) FROM labels")
    command = ("eval", "lvu", "--videos", clips, "--catalog", catalog, "--workers", "1", "--json")
    ran = m2s(*command)
    assert "0 clips to index, 18 are" in ran.stderr
    assert sql(catalog, "SELECT count(*) FROM labels") == before
    figures = ("rows", "all", "vocabularies")
    for first, second in zip(measured[1].json()["encoders"], ran.json()["encoders"], strict=True):
        assert [first[name] for name in figures] == [second[name] for name in figures]
    both = m2s(
        "eval", "retrieval", "--label", "place", "--encoder", "gist", "--encoder", "colour", "--json",
        "--catalog", catalog,
    ).json()  # fmt: skip
    assert [encoder["name"] for encoder in both["encoders"]] == ["gist", "colour"]
    (difference,) = both["differences"]
    assert (difference["encoder"], difference["baseline"]) == ("colour", "gist")
    first, second = both["encoders"]
    assert difference["p@5"] == pytest.approx(second["all"]["p@5"] - first["all"]["p@5"])
    low, high = difference["intervals"]["p@5"]
    assert low <= difference["p@5"] <= high


def test_clips_that_cannot_be_read(clips, tmp_path, m2s):
    """They are named with the reason, the others are measured, and the status is 1."""
    folder = shutil.copytree(clips, tmp_path / "clips", symlinks=True)
    broken = next(path for path in sorted(folder.glob("*.mp4")) if path.stem != "not_of_lvu")
    broken.write_bytes(b"no film")
    command = ("eval", "lvu", "--videos", folder, "--catalog", tmp_path / "c", "--workers", "1", "--json")
    ran = m2s(*command)
    assert ran.status == 1
    assert f"failed: {broken}" in ran.stderr
    assert ran.json()["encoders"][0]["all"]["queries"] + ran.json()["gallery"]["place"] == 17


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--task", "view_count"), "regression"),
        (("--task", "genre", "--published"), "add '--label place'"),
        (("--task", "mood"), "choose one of scene, relationship"),
        (("--weights", "clip=x"), "with an encoder that --encoder names"),
        (("--encoder", "nothing"), "unknown encoder 'nothing'"),
    ],
)
def test_what_lvu_cannot_be_asked(clips, tmp_path, m2s, arguments, words):
    """Refused before anything is indexed."""
    ran = m2s("eval", "lvu", "--videos", clips, "--catalog", tmp_path / "c", *arguments)
    assert ran.status == 2
    assert words in ran.stderr
    assert not (tmp_path / "c").exists()


def test_lvu_without_clips_or_beside_other_films(clips, tmp_path, catalog_folder, m2s):
    """A folder without a clip, and a catalogue whose films are cut into scenes, are refused."""
    ran = m2s("eval", "lvu", "--videos", tmp_path, "--labels", clips / "lvu_1.0", "--catalog", tmp_path / "c")
    assert ran.status == 2
    assert "none of the clips is there" in ran.stderr
    ran = m2s("eval", "lvu", "--videos", clips, "--catalog", catalog_folder)
    assert ran.status == 2
    assert "cuts its films into scenes" in ran.stderr


@pytest.fixture(scope="module")
def catalog(measured, tmp_path_factory, m2s):
    """Two encoders, a second vocabulary with names that other programs might take for their own."""
    folder = tmp_path_factory.mktemp("eval")
    catalog = shutil.copytree(measured[0], folder / "catalog")
    library_build(catalog, MeanColour())
    table = folder / "genre.csv"
    rows = sql(
        catalog, "SELECT name, split FROM labels JOIN movies ON movies.id = movie_id WHERE split IS NOT NULL"
    )
    kinds = ("a_b & c%", "*|<i>x</i>|* $~^#{}\\")
    lines = [f'{name},genre,"{kinds[number % 2]}",{split}' for number, (name, split) in enumerate(rows)]
    table.write_text("\n".join(["movie,vocabulary,value,split", *lines]))
    assert m2s("labels", "import", table, "--catalog", catalog).status == 0
    return catalog


def evaluated(m2s, catalog, *arguments):
    command = ("eval", "retrieval", "--label", "place", "--encoder", "gist", "--encoder", "colour", "--draws", "50")
    ran = m2s(*command, "--catalog", catalog, *arguments)
    assert ran.status == 0, ran.stderr
    return ran


def test_the_table_in_a_terminal(catalog, m2s):
    """Encoders side by side, the best of each row marked, the paper's figures marked as published."""
    ran = evaluated(m2s, catalog, "--published")
    lines = ran.stdout.splitlines()
    assert re.split(r"\s{2,}", lines[1].strip()) == [
        "gist", "colour", "CLIP (published)", "SlowFast (published)", "Movies2Scenes (published)",
    ]  # fmt: skip
    office = next(line for line in lines if line.startswith("office"))
    assert office.split()[-9:] == ["30.00", "20.00", "19.00", "0.00", "16.00", "17.00", "30.00", "36.00", "26.00"]
    figures = evaluated(m2s, catalog, "--json").json()["encoders"]
    for label in (*PLACES, "all queries"):
        row = next(line for line in lines if line.startswith(label)).removeprefix(label).split()
        for column, k in enumerate((1, 5, 10)):
            found = [
                next(row for row in (*encoder["rows"], encoder["all"]) if row["label"] == label)[f"p@{k}"]
                for encoder in figures
            ]
            shown = [row[3 + column], row[6 + column]]
            assert [text.removeprefix("*") for text in shown] == [f"{value:.2f}" for value in found]
            best = [value == max(found) and len(set(found)) > 1 for value in found]
            assert [text.startswith("*") for text in shown] == best


def test_every_form_says_where_it_comes_from(catalog, m2s):
    """Version, catalogue, command, encoders and counts are in each of them."""
    for form in ("table", "markdown", "latex", "csv", "json"):
        said = evaluated(m2s, catalog, "--format", form).stdout
        for words in ("m2s 0.1.0", "eval retrieval --label place --encoder gist", str(catalog.resolve()), "gist-1"):
            assert words.replace("_", "\\_") in said or words in said, (form, words)


def test_several_vocabularies(catalog, m2s):
    """One table has them side by side per encoder; JSON has them by name."""
    ran = evaluated(m2s, catalog, "--label", "genre", "--json").json()
    for encoder in ran["encoders"]:
        assert list(encoder["vocabularies"]) == ["place", "genre"]
        assert encoder["all"] == encoder["vocabularies"]["place"]["all"]
        assert {row["vocabulary"] for row in encoder["rows"]} == {"place", "genre"}
    lines = evaluated(m2s, catalog, "--label", "genre").stdout.splitlines()
    assert lines[0] == "Precision over all queries, per cent"
    assert lines[1].split() == ["place", "genre"]
    for line, encoder in zip(lines[4:6], ran["encoders"], strict=True):
        values = [encoder["vocabularies"][v]["all"][f"p@{k}"] for v in ("place", "genre") for k in (1, 5, 10)]
        assert [text.removeprefix("*") for text in line.split()] == [encoder["name"], *(f"{v:.2f}" for v in values)]


def test_csv_has_a_line_for_each_figure(catalog, m2s):
    """As many as rows, encoders and measures, with the values of the JSON."""
    rows = list(csv.DictReader(io.StringIO(evaluated(m2s, catalog, "--label", "genre", "--csv").stdout)))
    assert len(rows) == 2 * 5 * ((6 + 2) + (2 + 2))
    encoders = {encoder["name"]: encoder for encoder in evaluated(m2s, catalog, "--json").json()["encoders"]}
    for row in rows:
        if row["vocabulary"] == "place" and row["label"] in PLACES:
            same = next(other for other in encoders[row["encoder"]]["rows"] if other["label"] == row["label"])
            assert float(row["value"]) == same[row["measure"]]
            if same["intervals"][row["measure"]]:
                assert [float(row["low"]), float(row["high"])] == same["intervals"][row["measure"]]


def test_the_nearest_alone(catalog, m2s):
    """Precision is the same in every form; R-precision and mAP are in none."""
    whole, top = (evaluated(m2s, catalog, "--json", *more).json() for more in ((), ("--top-only",)))
    for name in ("p@1", "p@5", "p@10"):
        assert top["encoders"][1]["all"][name] == whole["encoders"][1]["all"][name]
        assert top["differences"][0][name] == whole["differences"][0][name]
    for form in ("table", "markdown", "latex", "csv", "json"):
        said = evaluated(m2s, catalog, "--top-only", "--format", form).stdout
        assert "mAP" not in said
        assert '"map"' not in said
        assert ",map," not in said


def cells(line, separator):
    """A line's cells, at separators that are not escaped."""
    return re.split(rf"(?<!\\){re.escape(separator)}", line)


def test_markdown_tables_have_as_many_cells_in_each_line(catalog, m2s):
    """Labels that mean something to Markdown are escaped."""
    text = evaluated(m2s, catalog, "--label", "genre", "--published", "--format", "markdown").stdout
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 7
    for block in blocks:
        assert len({len(cells(line, "|")) for line in block}) == 1
        assert re.fullmatch(r"\| ---( \| ---:?)+ \|", block[1])
    assert r"| a\_b & c% |" in text
    assert r"\*\|\<i\>x\</i\>\|\*" in text


def test_latex_is_well_formed(catalog, m2s):
    """Every row has as many cells as the table columns, braces and environments match, nothing is left bare."""
    text = evaluated(m2s, catalog, "--label", "genre", "--published", "--format", "latex").stdout
    tables = re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert len(tables) == text.count(r"\begin{") == text.count(r"\end{") == 7
    for columns, body in tables:
        for line in body.replace("\\hline\n", "").splitlines():
            assert line.endswith(r" \\")
            content = line.removesuffix(r" \\")
            spans = [int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", content)]
            assert len(cells(content, "&")) + sum(spans) == len(columns)
            plain = re.sub(
                r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}", "", content
            )
            assert not re.search(r"(?<!\\)[#%_~^]", plain.replace("$-$", ""))
            bare = re.sub(r"\\[{}]", "", plain)
            assert bare.count("{") == bare.count("}")
            assert not content.startswith(("[", "*"))
    assert all(
        line.startswith("%")
        for line in re.sub(r"\\begin.*?\\end\{tabular\}", "", text, flags=re.DOTALL).split("\n")
        if line
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_is_set_by_latex(catalog, m2s, tmp_path):
    """Tables of labels full of special characters, in a document that has nothing but \\input."""
    (tmp_path / "tables.tex").write_text(
        evaluated(m2s, catalog, "--label", "genre", "--published", "--format", "latex").stdout, "utf-8"
    )
    (tmp_path / "paper.tex").write_text(r"\documentclass{article}\begin{document}\tiny\input{tables}\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


def test_a_querys_own_film(catalog, m2s, tmp_path):
    """With the option its scenes are not in the gallery; both figures over all queries are in every report."""
    own = shutil.copytree(catalog, tmp_path / "catalog")
    sql(own, "UPDATE labels SET value = 'tt1' WHERE vocabulary = 'film'")
    kept = evaluated(m2s, own, "--json").json()
    assert kept["own_film_queries"] == {"place": 6}
    summary = kept["encoders"][0]["vocabularies"]["place"]
    assert summary["all"]["p@10"] == summary["own_film_kept"]["p@10"] > 0
    assert summary["own_film_left_out"]["p@10"] == 0
    assert summary["all"]["intervals"]["p@10"] is None
    ran = evaluated(m2s, own, "--exclude-same-movie")
    assert "6 of 6 queries have their film in the gallery too" in ran.stderr
    assert "all queries, own film kept" in ran.stdout
    left = evaluated(m2s, own, "--exclude-same-movie", "--json").json()["encoders"][0]
    assert left["all"]["p@10"] == left["rows"][0]["p@10"] == 0


def test_films_without_an_encoder_are_named(catalog, m2s, tmp_path):
    """The others are measured, and the status is 1."""
    own = shutil.copytree(catalog, tmp_path / "catalog")
    sql(own, "DELETE FROM embeddings WHERE movie_id = 1 AND encoder_id = 2")
    ran = m2s("eval", "retrieval", "--label", "place", "--encoder", "gist", "--encoder", "colour", "--catalog", own)
    assert ran.status == 1
    (name,) = sql(own, "SELECT name FROM movies WHERE id = 1")[0]
    assert f"encoder 'colour' was not run on 1 labelled films, left out for all: {name}" in ran.stderr
    assert "Precision by place" in ran.stdout


class Page(HTMLParser):
    """What a report shows: pictures, and for each shown query and encoder what was marked right."""

    def __init__(self, path):
        super().__init__()
        self.pictures, self.links, self.marks, self.open, self.text = [], [], [], [], ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag == "img":
            self.pictures.append(given["alt"])
        kind = given.get("class", "")
        if kind == "found":
            self.marks.append([])
        elif kind.startswith("scene"):
            self.marks[-1].append(kind == "scene right")
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_report_shows_what_was_found(catalog, m2s, tmp_path):
    """One file with the tables, a curve for each encoder, and for a query of each label what each encoder found:
    green where its label is right. As many are green as precision says.
    """
    ran = evaluated(m2s, catalog, "--html", tmp_path / "report.html", "--label", "genre", "--published", "--json")
    report = Page(tmp_path / "report.html")
    assert report.open == []
    assert {link.partition(",")[0] for link in report.links} == {"data:image/jpeg;base64"}
    encoders = ran.json()["encoders"]
    right = iter(report.marks)
    for vocabulary, queries in (("place", 6), ("genre", 2)):
        found = [[next(right) for _ in encoders] for _ in range(queries)]
        assert all(len(marks) == 5 for marks in (one for pair in found for one in pair))
        if vocabulary == "place":  # the only queries there are: their precision is the table's
            for number, encoder in enumerate(encoders):
                share = sum(sum(pair[number]) for pair in found) / 30
                assert 100 * share == pytest.approx(encoder["all"]["p@5"])
    assert next(right, None) is None
    markup = (tmp_path / "report.html").read_text("utf-8")
    assert markup.count("<polyline") == markup.count("<polygon") == 4
    legend = re.findall(r">([^<]*)<title>([^<]*)</title></text>", markup)
    assert legend == 2 * [(encoder["name"], encoder["name"]) for encoder in encoders]
    for words in ("CLIP (published)", "*|<i>x</i>|* $~^#{}\\", "paired differences", "m2s 0.1.0", "eval retrieval"):
        assert words in report.text
    assert report.pictures[0].endswith(", frame 1")


def test_the_legend_shows_the_end_of_a_long_name():
    """A trained encoder is called as its file is: what tells it from others stands at the end."""
    assert legend_name("timm:resnet50") == "timm:resnet50"
    assert legend_name("/films/trained/e_scene.safetensors") == "…e_scene.safetensors"


def test_the_report_of_a_chosen_query(catalog, m2s, tmp_path):
    """Only that one is shown; a scene that is no query is refused, and so is a file that cannot be written."""
    (name,) = sql(catalog, "SELECT name FROM labels JOIN movies ON movies.id = movie_id WHERE split = 'val'")[0]
    evaluated(m2s, catalog, "--html", tmp_path / "report.html", "--query", f"{name}#0")
    report = Page(tmp_path / "report.html")
    assert len(report.marks) == 2
    assert report.pictures[0] == f"{name}#0, frame 1"
    (other,) = sql(catalog, "SELECT name FROM labels JOIN movies ON movies.id = movie_id WHERE split = 'train'")[0]
    command = ("eval", "retrieval", "--label", "place", "--catalog", catalog, "--html")
    ran = m2s(*command, tmp_path / "report.html", "--query", f"{other}#0")
    assert (ran.status, ran.stdout) == (2, "")
    assert "is none of the queries" in ran.stderr
    ran = m2s(*command, tmp_path / "nowhere" / "report.html")
    assert (ran.status, ran.stdout) == (2, "")
    assert "cannot be written" in ran.stderr


def test_the_report_without_key_frames(catalog, m2s, tmp_path):
    """A film whose key frames are gone is shown without them."""
    own = shutil.copytree(catalog, tmp_path / "catalog")
    for path in (own / "keyframes").iterdir():
        path.unlink()
    evaluated(m2s, own, "--html", tmp_path / "report.html")
    report = Page(tmp_path / "report.html")
    assert report.pictures == []
    assert "no key frames" in report.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--label", "mood"), "the catalogue has labels of: film, genre, place"),
        (("--label", "genre", "--published"), "add '--label place'"),
        (("--label", "place", "--query-split", "test"), "there are: train, val"),
        (("--label", "place", "--encoder", "clip"), "no embeddings by encoder 'clip'"),
        ((), "Missing option '--label'"),
    ],
)
def test_what_cannot_be_measured(catalog, m2s, arguments, words):
    """Wrong usage is status 2 and prints no table."""
    ran = m2s("eval", "retrieval", "--catalog", catalog, *arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert words in ran.stderr
