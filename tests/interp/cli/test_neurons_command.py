import json
from itertools import permutations

import pytest

from interp.models.zoo import texts
from interp.results import Result

LANGUAGES = ("en", "fr")


@pytest.fixture(scope="module")
def sentences():
    shipped = texts.read_sentences(24)
    return {name: shipped[name] for name in LANGUAGES}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory, sentences):
    directory = tmp_path_factory.mktemp("corpora")
    for name, rows in sentences.items():
        (directory / f"{name}.txt").write_text("\n".join(rows), encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def tagged(tmp_path_factory, sentences):
    """Half of the texts change language in the middle."""
    lines = []
    for first, second in permutations(LANGUAGES, 2):
        for one, other in zip(sentences[first], sentences[second], strict=True):
            words, after = one.split(), other.split()
            whole = [f"{word}/{first.upper()}" for word in words]
            mixed = whole[:5] + [f"{word}/{second.upper()}" for word in after[5:]]
            lines += [" ".join(mixed), " ".join(whole)]
    path = tmp_path_factory.mktemp("tagged") / "mixed.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def neurons(family_directory, corpora, tmp_path, monkeypatch, capsys):
    """Run `interp neurons` in this process: exit code, stdout, stderr."""
    from interp.cli import app

    monkeypatch.chdir(tmp_path)
    given = [part for name in LANGUAGES for part in ("--corpus", f"{name}={corpora / name}.txt")]

    def run(*arguments, family="llama", texts=given):
        with pytest.raises(SystemExit) as stopped:
            app(["neurons", str(family_directory(family)), *texts, *map(str, arguments)])
        seen = capsys.readouterr()
        return stopped.value.code or 0, seen.out, seen.err

    return run


@pytest.mark.parametrize("switches", ["--tagged", "none"])
def test_a_page_and_every_result_behind_it_are_written(neurons, tagged, tmp_path, switches):
    extra = {"--tagged": ["--tagged", tagged], "none": []}[switches]
    code, out, err = neurons("--out", "n.html", "--json", *extra)
    assert code == 0, err
    answer = json.loads(out)
    assert answer["report"] == str(tmp_path / "n.html")
    results = [Result.load(path) for path in answer["results"]]
    kinds = {result.kind for result in results}
    assert {"language_neurons", "neuron_depth", "neuron_agreement", "neuron_overlap", "language_lens"} <= kinds
    assert all(result.has_control for result in results)
    assert ("switching_neurons" in kinds) == (switches != "none")
    page = (tmp_path / "n.html").read_text(encoding="utf-8")
    for title in ("Which neurons fire for a language?", "What do they do?", "Which language does it think in?"):
        assert title in page
    assert ("Not asked. It needs texts that switch" in page) == (switches == "none")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--out", "n.txt"), "Expected .html"),
        (("--corpus", "english.txt"), "names no language"),
        (("--corpus", "en=missing.txt"), "'en' twice"),
        (("--corpus", "de=missing.txt"), "Cannot read the corpus missing.txt"),
        (("--tagged", "missing.txt"), "Cannot read the tagged corpus missing.txt"),
    ],
)
def test_what_cannot_be_read_is_refused_before_a_model_is_loaded(neurons, tmp_path, arguments, says):
    code, out, err = neurons(*arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert "loading" not in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_tags_of_other_languages_are_refused_before_anything_is_measured(neurons, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("ein/DE Satz/DE\n", encoding="utf-8")
    code, _, err = neurons("--tagged", path)
    assert code == 2
    assert "Expected the same names" in err
    assert "language neurons ..." not in err


def test_one_corpus_is_nothing_to_compare(neurons, corpora):
    code, _, err = neurons(texts=["--corpus", f"en={corpora / 'en.txt'}"])
    assert code == 2
    assert "nothing to compare" in err


def test_a_results_directory_is_kept(neurons, tmp_path):
    (tmp_path / "n").mkdir()
    code, _, err = neurons("--out", "n.html")
    assert code == 2
    assert "exists and was kept" in err
