"""Sentence encoders from disk: vectors against the model by hand, what is refused, and commands that use them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys

import numpy as np
import pytest
from catalog_contents import sql
from sentence_models import WORDS, save_bert, save_static

torch = pytest.importorskip("torch")
if not importlib.util.find_spec("sentence_transformers"):  # importing it here would go past our torchvision's shim
    pytest.skip("sentence-transformers is in the extra 'text'", allow_module_level=True)
from safetensors.torch import load_file, save_file  # noqa: E402

from m2s_index.encoders import sentences  # noqa: E402
from m2s_index.encoders.sentences import SentenceTransformerEncoder  # noqa: E402
from m2s_index.errors import EncoderError, MissingExtraError, WeightsError  # noqa: E402

TABLE = (
    "movie,title,year,genres,synopsis,imdb_id\n"
    "Alpha Beach (1990),Alpha,1990,,the robot learns,tt1\n"
    "Beta Road (1991),Beta,1991,,the robot learns love,tt2\n"
    "Gamma (1992),Gamma,1992,,crew meets creature,tt3\n"
    "Short,Delta,1993,,crew meets creature space,tt4\n"
    "y.mkv,Empty,1994,,,tt5\n"
    "z.mkv,Void,1995,,,tt6\n"
)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("models") / "static")


@pytest.fixture(scope="module")
def catalog(built_catalog, tmp_path_factory, m2s):
    """The catalogue of four films and their synopses, two and two alike, and two movies that none is known of."""
    folder = tmp_path_factory.mktemp("synopses")
    shutil.copytree(built_catalog, folder / "c")
    (folder / "movies.csv").write_text(TABLE)
    assert m2s("movies", "import", folder / "movies.csv", "--catalog", folder / "c").status == 0
    return folder / "c"


def static_vectors(folder, texts):
    """The mean of the texts' words, normalised."""
    rows = load_file(folder / "model.safetensors")["embedding.weight"].numpy()
    means = [rows[[WORDS.index(word) for word in text.split()]].mean(axis=0) for text in texts]
    return np.array([mean / np.linalg.norm(mean) for mean in means])


def test_static_vectors_are_those_of_the_file(static):
    """Means of the words' rows, of length 1, in the order of the texts."""
    texts = ["robot love", "the giant pumpkin", "rain"]
    found = SentenceTransformerEncoder(static, device="cpu").encode_texts(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, static_vectors(static, texts), atol=1e-6)


def test_a_transformer_by_hand(bert):
    """BERT's last layer, its mean over the tokens, normalised; a text alone has the vector it has among others."""
    from transformers import AutoModel, AutoTokenizer

    texts = ["the robot paints", "love", "marines fight the creature in space"]
    encoder = SentenceTransformerEncoder(bert, device="cpu")
    found = encoder.encode_texts(texts)
    tokenizer, network = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    for text, vector in zip(texts, found, strict=True):
        with torch.inference_mode():
            last = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(vector, (last / last.norm()).numpy(), atol=1e-5)
        np.testing.assert_allclose(encoder.encode_texts([text])[0], vector, atol=1e-5)


def test_progress_and_parts(static, monkeypatch):
    """Many texts are encoded in parts, and how far it is is told after each."""
    monkeypatch.setattr(sentences, "TEXTS_AT_ONCE", 2)
    told, texts = [], [*WORDS[7:12]]
    encoder = SentenceTransformerEncoder(static, device="cpu", on_progress=lambda *counts: told.append(counts))
    np.testing.assert_allclose(encoder.encode_texts(texts), static_vectors(static, texts), atol=1e-6)
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_identity(static, tmp_path):
    """The hash is of the files and not of where they are; other weights or words have another."""
    known = SentenceTransformerEncoder(static).sha256
    copy = shutil.copytree(static, tmp_path / "copy")
    assert SentenceTransformerEncoder(copy).sha256 == known
    (copy / "README.md").write_text("other words")
    assert SentenceTransformerEncoder(copy).sha256 == known
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text().replace("robot", "droid"))
    droid = SentenceTransformerEncoder(copy).sha256
    assert len({known, droid, SentenceTransformerEncoder(save_static(tmp_path / "b", seed=1)).sha256}) == 3


def pickled(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")


def strange_code(folder):
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "strange.Module"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "strange.py").write_text("raise SystemExit('code of the folder was run')")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "there is no such folder; name that of a sentence-transformers"),
        (lambda folder: (folder / "modules.json").unlink(), "is no sentence-transformers model: it has no modules"),
        (pickled, "pytorch_model.bin: is a pickle, which could run code, and there are no safetensors beside it"),
        (lambda folder: (folder / "modules.json").write_text("[{"), "cannot be loaded as a sentence encoder"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "cannot be loaded as a sentence"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no vocabulary"),
        (strange_code, "cannot be loaded as a sentence encoder .*strange.Module"),
    ],
)
@pytest.mark.parametrize("model", ["static", "bert"])
def test_bad_folders(request, tmp_path, model, damage, words):
    """What is no model, is damaged, is a pickle or brings code of its own is refused, and the folder is named."""
    folder = shutil.copytree(request.getfixturevalue(model), tmp_path / "model")
    damage(folder)
    with pytest.raises(WeightsError, match=rf"{folder}.*{words}"):
        SentenceTransformerEncoder(folder, device="cpu").encode_texts(["robot"])


def test_numbers_that_are_not_finite(static, tmp_path):
    """A model whose weights are spoilt fails, and its vectors go nowhere."""
    folder = shutil.copytree(static, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor * float("nan") for name, tensor in weights.items()}, folder / "model.safetensors")
    with pytest.raises(EncoderError, match=r"gives \[1, 24\] for 1 texts, or numbers that are not finite"):
        SentenceTransformerEncoder(folder, device="cpu").encode_texts(["robot"])


def test_missing_extra(static, monkeypatch):
    """Without the package the error names the extra that has it."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"sentence-transformers.*pip install 'm2s\[text\]'"):
        SentenceTransformerEncoder(static, device="cpu").encode_texts(["robot"])


def test_similar_movies(catalog, static, m2s):
    """Scores are cosines of the model's vectors; movies without a synopsis are in no list, and have none."""
    similar = ("movies", "similar", "--signal", "synopsis", "--sentence-encoder", static, "--catalog", catalog)
    found = m2s(*similar, "Alpha", "--json").json()["similar"]
    alpha, beta, gamma, delta = static_vectors(
        static, ["the robot learns", "the robot learns love", "crew meets creature", "crew meets creature space"]
    )
    every = [a @ b for i, a in enumerate((alpha, beta, gamma, delta)) for b in (alpha, beta, gamma, delta)[:i]]
    expected = [
        score for score in sorted((alpha @ beta, alpha @ gamma, alpha @ delta))[::-1] if score > np.mean(every)
    ]
    assert [hit["score"] for hit in found] == pytest.approx(expected, abs=1e-6)
    assert (found[0]["title"], found[0]["movies"]) == ("Beta", ["Beta Road (1991)"])
    ran = m2s(*similar, "Empty")
    assert (ran.status, "nothing is similar to Empty (1994) by synopsis" in ran.stderr) == (0, True)
    pairs = m2s(*similar, "--count", "1", "--json").json()["pairs"]
    ends = {(pair["a"]["title"], pair["b"]["title"]) for pair in pairs if pair["similar"]}
    assert ends == {("Alpha", "Beta"), ("Gamma", "Delta")}
    assert all(pair["score"] <= np.mean(every) for pair in pairs if not pair["similar"])


def test_two_movies_without_synopsis(catalog, static, tmp_path, m2s):
    """Where no movie has a synopsis that is said, as without a model."""
    folder = shutil.copytree(catalog, tmp_path / "c")
    sql(folder, "UPDATE titles SET synopsis = ' '")
    arguments = ("--signal", "synopsis", "--sentence-encoder", static, "--catalog", folder)
    for command in (("movies", "similar"), ("train", "mine", "--out", tmp_path / "p.csv")):
        ran = m2s(*command, *arguments)
        assert (ran.status, "no synopses are known of any movie" in ran.stderr) == (2, True)


def test_a_model_goes_with_synopses_alone(catalog, static, tmp_path, m2s):
    """With another signal it is wrong usage; so is a folder that is no model."""
    for command in (
        ("movies", "similar", "--signal", "genre"),
        ("train", "mine", "--signal", "genre", "--out", tmp_path / "p.csv"),
        ("train", "movie", "--signal", "genre", "--out", tmp_path / "e.safetensors"),
        ("pairs", "--all", "--similar", "genre"),
        ("pairs", "--all"),
    ):
        ran = m2s(*command, "--sentence-encoder", static, "--catalog", catalog)
        assert (ran.status, "a sentence encoder reads synopses: it goes with" in ran.stderr) == (2, True), ran
        ran = m2s(*command, "--sentence-encoder", tmp_path, "--catalog", catalog)
        assert (ran.status, "is no sentence-transformers model" in ran.stderr) == (1, True), ran


def test_pairs_of_films_with_alike_synopses(catalog, static, m2s):
    """Only films that the model finds alike are compared."""
    arguments = ("pairs", "--all", "--similar", "synopsis", "--junk", "--json", "--catalog", catalog)
    ran = m2s(*arguments, "--sentence-encoder", static)
    assert ran.status == 0, ran.stderr
    films = {frozenset((pair["a"]["movie"], pair["b"]["movie"])) for pair in ran.json()["pairs"]}
    assert films == {frozenset(("Alpha Beach (1990)", "Beta Road (1991)")), frozenset(("Gamma (1992)", "Short"))}


@pytest.fixture(scope="module")
def trained(catalog, static, tmp_path_factory, m2s):
    """E_movie, taught by what the model finds alike."""
    out = tmp_path_factory.mktemp("trained") / "e.safetensors"
    ran = m2s(*train(catalog, out, "--sentence-encoder", static))
    assert ran.status == 0, ran.stderr
    assert ran.json()["config"]["sentence_encoder"] == SentenceTransformerEncoder(static).sha256
    return out


def train(catalog, out, *more):
    values = [word for value in ("pairs=2", "held_out=0", "epochs=3") for word in ("--set", value)]
    where = ("--catalog", catalog, "--out", out, "--device", "cpu", "--json")
    return "train", "movie", "--signal", "synopsis", *values, *where, *more


def test_a_training_is_gone_on_with_its_own_model_alone(catalog, static, trained, tmp_path, m2s):
    """With another model, or with none, it is refused as any changed value; a moved folder is the same model."""
    moved = shutil.copytree(static, tmp_path / "moved")
    other = save_static(tmp_path / "other", seed=1)
    assert m2s(*train(catalog, trained, "--resume", "--sentence-encoder", moved)).status == 0
    for options in (("--sentence-encoder", other), ()):
        ran = m2s(*train(catalog, trained, "--resume", *options))
        assert (ran.status, "other settings: sentence_encoder was '" in ran.stderr) == (2, True), ran.stderr


def test_a_hash_alone_is_no_model(catalog, tmp_path, m2s):
    """A config that records a model needs its folder."""
    ran = m2s(*train(catalog, tmp_path / "e.safetensors", "--set", "sentence_encoder=abc"))
    assert ran.status == 2
    assert "sentence_encoder is set to 'abc', and --sentence-encoder names none" in ran.stderr


def test_mining_with_a_model(catalog, static, trained, tmp_path, m2s):
    """The films are those that the model finds alike; E_movie's signal stands for its model as well."""
    mine = ("train", "mine", "--out", tmp_path / "p.csv", "--catalog", catalog, "--json")
    by_signal = m2s(*mine, "--signal", "synopsis", "--sentence-encoder", static)
    by_movies = m2s(*mine, "--movie-encoder", trained, "--sentence-encoder", static)
    for ran in (by_signal, by_movies):
        assert ran.status == 0, ran.stderr
        assert {name: ran.json()[name] for name in ("signal", "film_pairs", "films", "too_short")} == {
            "signal": "synopsis", "film_pairs": 1, "films": 2, "too_short": 1,
        }  # fmt: skip
    ran = m2s(*mine, "--movie-encoder", trained)
    assert ran.status == 2
    assert "its synopses were read by another sentence encoder" in ran.stderr
