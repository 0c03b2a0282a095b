"""The command line as people meet it: real processes, real files, real exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from interp.results import Result

HOSTILE = "</script><script>document.title='x'</script> <img src=x onerror=alert(1)> <s> &lt 🙂 مرحبا \n x"


def interp(*arguments, cwd, **more):
    command = [sys.executable, "-m", "interp", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **more)


@pytest.fixture(scope="module")
def llama(family_directory):
    return family_directory("llama")


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    rows = [
        {"clean": f"one two three {word}", "corrupted": f"one two five {word}", "answer": "e", "wrong_answer": "o"}
        for word in ("four", "six", "seven")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_help_answers_at_once_and_loads_nothing_heavy(tmp_path):
    times = []
    for _ in range(3):
        began = time.perf_counter()
        run = interp("--help", cwd=tmp_path)
        times.append(time.perf_counter() - began)
    assert run.returncode == 0
    assert all(name in run.stdout for name in ("report", "describe", "sweep", "heads", "probe"))
    # A generous bound on a shared machine; importing torch alone takes many times this.
    assert min(times) < 2


def test_describe_says_what_can_be_edited(llama, tmp_path):
    run = interp("describe", llama, "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["facts"]["n_kv_heads"] == 2
    assert {row["kind"]: row["causal"] for row in answer["sites"]}["pattern"] is True


def test_a_sweep_writes_a_result_and_its_figure(llama, prompts, tmp_path):
    run = interp(
        "sweep", llama, "--prompts", prompts, "--site", "z", "--by", "head", "--out", "a.safetensors", cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(tmp_path / "a.html"), str(tmp_path / "a.safetensors")]
    result = Result.load(tmp_path / "a.safetensors")
    assert result.data["effect"].shape == (3, 4)
    assert result.has_control
    assert "<html" in (tmp_path / "a.html").read_text()[:2000]
    again = interp("sweep", llama, "--prompts", prompts, "--out", "a.safetensors", cwd=tmp_path)
    assert again.returncode == 2
    assert "--force" in again.stderr


def test_heads_and_probe_write_their_results(llama, tmp_path):
    task = tmp_path / "task.csv"
    lines = [f"the cat number {n} {'slept' if n % 2 else 'ate'} on mat {n},{'a' if n % 2 else 'b'}" for n in range(40)]
    task.write_text("text,label\n" + "\n".join(lines))
    text = tmp_path / "text.txt"
    text.write_text("The cat sat on the mat because the dog slept.\nWhen Mary and John went to the store.\n")
    heads = interp("heads", llama, "--text", text, "--json", cwd=tmp_path)
    assert heads.returncode == 0, heads.stderr
    assert json.loads(heads.stdout)["kind"] == "head_scores"
    probe = interp("probe", llama, "--task", task, "--json", cwd=tmp_path)
    assert probe.returncode == 0, probe.stderr
    assert json.loads(probe.stdout)["kind"] == "probe_by_layer"
    grid = interp("probe", llama, "--task", task, "--sites", "resid_pre, mlp_out", "--json", "--force", cwd=tmp_path)
    assert grid.returncode == 0, grid.stderr
    assert json.loads(grid.stdout)["kind"] == "probe_sweep"
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("text,label\n" + "\n".join(f"{line[:-2]},{n % 7}.5" for n, line in enumerate(lines)))
    read = interp("probe", llama, "--task", numbers, "--labels", "numbers", "--json", "--force", cwd=tmp_path)
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout)["kind"] == "probe_measures"


@pytest.mark.slow
@pytest.mark.browser
def test_a_report_on_hostile_prompts_opens_offline_and_runs_nothing(tmp_path):
    if shutil.which("chromium") is None:
        pytest.skip("no browser: apt-get install chromium")
    from tests.interp.plots.browser import launch, opened

    answers = {"answer": " était", "wrong_answer": " étaient"}
    rows = [{"clean": f"{HOSTILE} il {word}", "corrupted": f"{HOSTILE} ils {word}", **answers} for word in ("y", "en")]
    path = write(tmp_path / "hostile.jsonl", *rows)
    run = interp("report", "zoo:polyglot", "--prompts", path, "--out", "r.html", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(tmp_path / "r.html")
    with contextmanager(launch)() as browser, opened(browser, tmp_path / "r.html") as watched:
        watched.draw_all()
        watched.check_calm()
        assert watched.page.title().startswith("A first look at")
        shown = watched.page.inner_text("body")
        assert "مرحبا" in shown
        assert "🙂" in shown


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


LONG = "a b " * 40 + "c"
BAD_PROMPTS = {
    "identical": ({"clean": "a b", "corrupted": "a b"}, "identical"),
    "unequal": ({"clean": "a b c d e f", "corrupted": "a"}, "give an alignment"),
    "long_answer": ({"clean": "a b", "corrupted": "a c", "answer": "one two three"}, "Expected exactly one"),
    "empty_text": ({"clean": "", "corrupted": "a"}, "empty"),
    "unknown_key": ({"clean": "a", "corrupted": "b", "colour": "red"}, "colour"),
    "no_answer": ({"clean": "one two three", "corrupted": "one three two"}, "needs 'answer'"),
    "too_long": ({"clean": LONG, "corrupted": LONG[::-1], "answer": "e", "wrong_answer": "o"}, "context of 64"),
}


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_bad_prompts_are_refused_in_one_sentence_and_nothing_is_written(llama, tmp_path, capsys, monkeypatch, name):
    row, says = BAD_PROMPTS[name]
    refuse(["sweep", llama, "--prompts", write(tmp_path / "p.jsonl", row)], says, tmp_path, capsys, monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]


def refuse(arguments, says, cwd, capsys, monkeypatch):
    """Run the command line in this process and check how it refuses."""
    from interp.cli import app

    monkeypatch.chdir(cwd)
    with pytest.raises(SystemExit) as stopped:
        app([str(argument) for argument in arguments])
    seen = capsys.readouterr()
    assert stopped.value.code == 2
    assert says in seen.err
    assert seen.out == ""
    assert "Traceback" not in seen.err


def test_bad_arguments_are_refused_with_what_was_expected(llama, tmp_path, capsys, monkeypatch):
    (tmp_path / "kept.html").write_text("mine")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    cases = [
        (["describe", "zoo:polyglott"], "zoo:polyglot"),
        (["describe", tmp_path / "nowhere"], "nowhere"),
        (["describe", llama, "--device", "tpu:9"], "tpu:9"),
        (["sweep", llama, "--site", "resid_prre"], "resid_pre"),
        (["sweep", llama, "--metric", "logit_dif"], "logit_diff"),
        (["sweep", llama, "--out", "x.html"], ".safetensors"),
        (["sweep", llama, "--prompts", tmp_path / "missing.jsonl"], "Cannot read"),
        (["sweep", llama, "--prompts", tmp_path / "empty.jsonl"], "holds no prompts"),
        (["sweep", llama, "--prompts", tmp_path / "binary.jsonl"], "UTF-8"),
        (["heads", llama, "--text", tmp_path / "missing.txt"], "Cannot read"),
        (["probe", "nowhere", "--task", tmp_path / "missing.csv"], "There is no file"),
        (["probe", llama, "--sites", "resid_post,pattern"], "each once"),
        (["probe", llama, "--positions", "1"], "at least 2 bins"),
        (["probe", llama, "--labels", "numbers"], "without --task"),
        (["report", llama, "--out", tmp_path / "no" / "r.html"], "does not exist"),
        (["report", llama, "--out", tmp_path / "kept.html"], "--force"),
    ]
    for arguments, says in cases:
        refuse(arguments, says, tmp_path, capsys, monkeypatch)
    assert (tmp_path / "kept.html").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["binary.jsonl", "empty.jsonl", "kept.html"]


def test_unknown_options_exit_with_2(tmp_path):
    run = interp("sweep", "--collumns", cwd=tmp_path)
    assert run.returncode == 2
    assert "--collumns" in run.stderr


def test_an_interrupted_command_exits_with_130_and_leaves_nothing(llama, tmp_path):
    command = [sys.executable, "-m", "interp", "report", str(llama), "--out", "r.html"]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # A test run in the background of a shell ignores interrupts, and its children would inherit that.
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(command, cwd=tmp_path, **pipes, **heeding)
    for line in process.stderr:
        if line.startswith("capabilities"):
            break
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert out == ""
    assert list(Path(tmp_path).iterdir()) == []
