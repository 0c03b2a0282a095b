import json

import pytest

from interp.results import Result


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    rows = [
        {"clean": f"one two three {word}", "corrupted": f"one two five {word}", "answer": "e", "wrong_answer": "o"}
        for word in ("four", "six", "seven")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def sweep(family_directory, prompts, tmp_path, monkeypatch, capsys):
    """Run `interp sweep` in this process: exit code, stdout, stderr."""
    from interp.cli import app

    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            app(["sweep", str(family_directory("llama")), "--prompts", str(prompts), *map(str, arguments)])
        seen = capsys.readouterr()
        return stopped.value.code or 0, seen.out, seen.err

    return run


def test_each_head_at_each_position_has_its_figure(sweep, tmp_path):
    code, out, err = sweep("--site", "z", "--by", "pos-head", "--out", "a.safetensors", "--engine", "exact")
    assert code == 0, err
    assert out.split() == [str(tmp_path / "a.html"), str(tmp_path / "a.safetensors")]
    result = Result.load(tmp_path / "a.safetensors")
    assert result.data["effect"].dims == ("layer", "pos", "head")
    assert result.notes["path"] == "exact"


def test_without_a_control_there_is_a_result_and_no_figure_and_that_is_said(sweep, tmp_path):
    code, out, err = sweep("--no-control", "--site", "mlp_out", "--out", "a.safetensors", "--json")
    assert code == 0, err
    assert json.loads(out)["figure"] is None
    assert "no figure" in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    result = Result.load(tmp_path / "a.safetensors")
    assert not result.has_control


def test_an_estimate_says_what_it_would_take_and_writes_nothing(sweep, tmp_path):
    code, out, err = sweep("--estimate", "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["path"] == "exact"
    assert 0 < answer["computed_cells"] < answer["cells"]
    assert answer["estimated_seconds"] > 0
    assert answer["peak_bytes"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-memory", "10KB"], "and --max-memory allows 10KB. Use fewer prompts"),
        (["--estimate", "--max-memory", "10KB"], "and --max-memory allows 10KB. Use fewer prompts"),
        (["--max-memory", "much"], "'much' is no amount of memory"),
        (["--method", "atp", "--estimate"], "use --method exact"),
        (["--ig-steps", "4"], "ig_steps=4 with method='exact'"),
        (["--engine", "exact", "--site", "attn_scores"], "attn_scores"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_before_anything_is_written(sweep, tmp_path, arguments, says):
    code, out, err = sweep(*arguments)
    assert code == 2
    assert says in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_within_its_memory_runs_and_is_held_to_it(sweep, monkeypatch):
    from interp.cli import sweeping

    told = []
    monkeypatch.setattr(sweeping, "return_memory_at_once", lambda: told.append("at once"))
    assert sweep()[0] == 0
    assert told == [], "it costs time that nobody asked for"
    code, _, err = sweep("--max-memory", "2GB", "--force")
    assert code == 0, err
    assert told == ["at once"]


def test_a_long_sweep_says_so_first(sweep, monkeypatch):
    from interp.cli import sweeping

    monkeypatch.setattr(sweeping, "LONG_SECONDS", 0)
    assert "this takes about" in sweep()[2]
