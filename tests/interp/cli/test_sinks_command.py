import json

import pytest

from interp.results import Result


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpora")
    paths = [directory / "seas.txt", directory / "rivers.txt"]
    for path, word in zip(paths, ("sea", "river"), strict=True):
        path.write_text(" ".join(f"the {word} {number} is deep and wide," for number in range(60)))
    return paths


@pytest.fixture
def sinks(family_directory, corpora, tmp_path, monkeypatch, capsys):
    """Run `interp sinks` in this process: exit code, stdout, stderr."""
    from interp.cli import app

    monkeypatch.chdir(tmp_path)
    given = [part for path in corpora for part in ("--corpus", str(path))]

    def run(*arguments, family="llama", texts=given):
        with pytest.raises(SystemExit) as stopped:
            app(["sinks", str(family_directory(family)), *texts, *map(str, arguments)])
        seen = capsys.readouterr()
        return stopped.value.code or 0, seen.out, seen.err

    return run


def test_a_page_and_every_result_behind_it_are_written(sinks, tmp_path):
    code, out, err = sinks("--window", 20, "--out", "s.html", "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["report"] == str(tmp_path / "s.html")
    results = [Result.load(path) for path in answer["results"]]
    kinds = {result.kind for result in results}
    assert {"sink_heads", "sink_epsilons", "sink_depth", "sink_domains", "sink_tests", "streaming"} <= kinds
    assert all(result.has_control for result in results)
    streamed = next(result for result in results if result.kind == "streaming")
    assert {"window", "4 sinks", "control: 4 from 8"} <= set(streamed.data["arm"].values)
    assert streamed.notes["window"] == 20
    domains = next(result for result in results if result.kind == "sink_domains")
    assert set(domains.data["domain"].values) == {"seas", "rivers"}
    page = (tmp_path / "s.html").read_text()
    for title in ("Where does attention rest?", "What does the sink do?", "What if its beginning is evicted?"):
        assert title in page


def test_a_model_that_cannot_be_streamed_gets_a_page_that_says_so(sinks, tmp_path):
    code, out, err = sinks("--out", "s.html", "--json", family="bert")
    assert code == 0, err
    assert "streaming" not in {Result.load(path).kind for path in json.loads(out)["results"]}
    assert "No stream was run" in (tmp_path / "s.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--window", 4000), "does not fit the context"),
        (("--window", 0), "holds no token"),
        (("--window", 8), "sinks"),
        (("--out", "s.txt"), "Expected .html"),
        (("--corpus", "missing.txt"), "Cannot read the corpus missing.txt"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_measured(sinks, tmp_path, arguments, says):
    code, out, err = sinks(*arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert "census" not in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_refuses_a_window_that_was_asked_for(sinks):
    code, _, err = sinks("--window", 20, family="bert")
    assert code == 2
    assert "cannot be streamed" in err


def test_what_is_there_is_kept(sinks, tmp_path):
    (tmp_path / "s").mkdir()
    code, _, err = sinks("--out", "s.html")
    assert code == 2
    assert "--force" in err


def test_two_files_of_one_name_and_short_texts_are_refused(sinks, tmp_path, corpora):
    (tmp_path / "seas.txt").write_text("short")
    code, _, err = sinks("--corpus", tmp_path / "seas.txt")
    assert code == 2
    assert "one name" in err
    code, _, err = sinks(texts=["--corpus", str(tmp_path / "seas.txt")])
    assert code == 2
    assert "interval needs 2" in err
