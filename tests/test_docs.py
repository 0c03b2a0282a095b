"""README's promises, run."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_on_the_first_screen_runs_and_is_twelve_lines():
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    names = {}
    exec(code, names)
    assert names["result"].has_control
    assert names["logits"].isfinite().all()


def test_continuous_integration_runs_the_very_command_of_the_readme():
    report, tests = blocks("bash")
    assert "interp report" in report
    assert tests.strip() in (ROOT / ".ci" / "run").read_text()


def test_the_prompts_file_shown_can_be_read(tmp_path):
    import interp

    (shown,) = blocks("json")
    path = tmp_path / "prompts.jsonl"
    path.write_text(shown, encoding="utf-8")
    encoder = interp.ModelEncoder(interp.load_model("zoo:polyglot"))
    assert len(interp.read_prompts(path, encoder)) == 1


def test_pictures_shown_exist():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
