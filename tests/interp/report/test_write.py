import dataclasses
import re
from pathlib import Path

import jinja2
import pandas as pd
import pytest

from interp.errors import InputError, ResultError
from interp.plots import page
from interp.report import Report, Section, Table, write_report
from interp.results import Result
from tests.interp.plots import synthetic


def _report(*results: Result, title: str = "Report") -> Report:
    return Report(title, "What was found.", [Section("First", "One.\n\nTwo.", list(results))])


def test_an_existing_report_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists and was kept"):
        write_report(_report(), path)
    assert path.read_text() == "mine"
    assert write_report(_report(), path, force=True) == path
    assert "What was found." in path.read_text()


def test_nothing_is_written_when_a_result_has_no_control(tmp_path: Path) -> None:
    result = synthetic.patch_sweep()
    bare = dataclasses.replace(result, data=result.data.drop_vars("control"))
    with pytest.raises(ResultError, match="no control"):
        write_report(_report(bare), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_the_normal_case_stays_under_three_megabytes_with_one_bundle(tmp_path: Path) -> None:
    words = [" When", " Mary", " and", " John", " went", " to", " the", " shop"] * 3
    results = [
        synthetic.attention([words] * 8, 6, 8),
        synthetic.head_scores(),
        *(synthetic.patch_sweep(words, dim=dim) for dim in ("pos", "pos", "pos", "head", "word")),
        synthetic.probe_by_layer(),
    ]
    path = write_report(_report(*results), tmp_path / "report.html")
    assert path.stat().st_size < 3_000_000
    assert path.read_text().count('class="interp-bundle"') == 1


def test_a_report_without_plots_carries_no_bundle(tmp_path: Path) -> None:
    path = write_report(_report(synthetic.attention()), tmp_path / "report.html")
    assert path.stat().st_size < 200_000


def test_every_figure_comes_with_its_control_and_origin(tmp_path: Path) -> None:
    text = write_report(_report(synthetic.patch_sweep()), tmp_path / "report.html").read_text()
    for expected in (
        "How to read this",
        "A random direction of equal norm",
        "patch_sweep(model, prompts, &#39;resid_pre&#39;)",
        "00ff00ff00ff00ff",
        "1234567890abcdef",
        "torch 2.13.0",
        "put before every prompt",
        "2026-01-01T00:00:00+00:00",
        "A cell is not evidence",
    ):
        assert expected in text


def test_the_page_asks_for_nothing(tmp_path: Path) -> None:
    text = write_report(_report(synthetic.patch_sweep(), synthetic.attention()), tmp_path / "report.html").read_text()
    addresses = re.findall(r"<[a-z]+\b[^>]* (?:src|href)=\"([^\"]*)\"", text)
    assert len(addresses) > 4
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert "default-src &#39;none&#39;" in text


def test_the_same_report_is_the_same_file(tmp_path: Path) -> None:
    one, two = (write_report(_report(synthetic.patch_sweep()), tmp_path / name) for name in ("a.html", "b.html"))
    assert one.read_bytes() == two.read_bytes()


def test_a_name_that_is_not_text_is_written_visibly(tmp_path: Path) -> None:
    assert "\\udc80" in write_report(_report(title="model-\udc80"), tmp_path / "report.html").read_text()


def test_a_template_that_misses_a_value_fails() -> None:
    with pytest.raises(jinja2.UndefinedError):
        page.environment().from_string("{{ missing }}").render()
    assert page.environment().from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"


def test_a_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    table = Table("Rows", pd.DataFrame({"row": range(205)}), "All rows.")
    text = write_report(Report("r", "", [Section("s", tables=[table])]), tmp_path / "report.html").read_text()
    assert "5 more rows are in the CSV." in text
    assert text.count('<td class="number">') == 200
