"""The house stands as DESIGN says: laws about the source itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "interp").rglob("*.py"), *(ROOT / "probes").rglob("*.py")])
HOOKING = re.compile(r"\.add_hook\(|run_with_hooks|\.hooks\(|register_forward")


def loaded_by(code):
    """Which heavy modules a fresh interpreter has after running some code."""
    heavy = "[m for m in ('torch', 'transformer_lens', 'transformers', 'pandas', 'sklearn') if m in sys.modules]"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nsys.stdout.write(' '.join({heavy}))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return run.stdout.split()


def test_the_front_door_and_the_command_line_load_nothing_heavy():
    assert loaded_by("import interp; dir(interp)") == []
    assert loaded_by("import interp.cli") == []


def test_plots_and_reports_load_no_torch():
    loaded = loaded_by("import interp.plots, interp.report")
    assert "torch" not in loaded
    assert "transformer_lens" not in loaded


def test_every_name_of_the_front_door_opens_and_there_are_at_most_thirty():
    import interp

    assert len(interp.__all__) <= 30
    for name in interp.__all__:
        assert callable(getattr(interp, name)), name
    with pytest.raises(AttributeError, match="no attribute 'hooked'"):
        interp.hooked  # noqa: B018


def test_hooks_are_added_in_two_files_only():
    # The second measures which edits are causal; it lies below the room that intervenes and needs that answer.
    adding = {str(path.relative_to(ROOT)) for path in SOURCES if HOOKING.search(path.read_text())}
    assert adding == {"interp/run/hooks.py", "interp/models/probe.py"}


def test_files_stay_small_enough_to_read_at_one_sitting():
    long = {path.name: len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > 260} == {}


def test_pickles_are_read_nowhere():
    reading = [
        path for path in SOURCES if re.search(r"pickle\.load|allow_pickle=True|weights_only=False", path.read_text())
    ]
    assert reading == []


def test_no_file_of_the_project_names_a_path_of_one_machine():
    places = re.compile("/" + r"(work|root|home/\w+|tmp)/")
    named = [path for path in SOURCES if places.search(path.read_text())]
    assert named == []


def test_bars_are_moved_by_hand_inside_a_with():
    """A bar that goes over an iterable shows itself in a notebook, in red and for good, when it is left early.

    Trainers keep theirs when they are done, and are not left early.
    """
    trainers = ROOT / "interp" / "models" / "zoo", ROOT / "interp" / "lab"
    others = [path for path in SOURCES if not any(folder in path.parents for folder in trainers)]
    bars = [line for path in others for line in path.read_text().splitlines() if "tqdm(" in line]
    assert len(bars) > 20
    assert [line for line in bars if not re.search(r"tqdm\(($|total=|desc=)", line)] == []
