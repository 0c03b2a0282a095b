from pathlib import Path

import pytest

from interp.errors import InputError
from interp.files import check_output, write_atomically


def test_an_output_that_can_be_written_passes_and_leaves_no_trace(tmp_path):
    assert check_output(tmp_path / "r.html") == tmp_path / "r.html"
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept_unless_forced(tmp_path):
    (tmp_path / "r.html").write_text("mine")
    with pytest.raises(InputError, match="was kept"):
        check_output(tmp_path / "r.html")
    assert check_output(tmp_path / "r.html", force=True).read_text() == "mine"


@pytest.mark.parametrize(
    ("path", "says"),
    [(Path("/proc/r.html"), "not writable"), (Path("no/such/r.html"), "does not exist"), (Path(), "is a directory")],
)
def test_an_output_that_cannot_be_written_is_refused(path, says):
    with pytest.raises(InputError, match=says):
        check_output(path)


def test_a_failed_write_leaves_the_old_content_and_no_rest(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(part):
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
