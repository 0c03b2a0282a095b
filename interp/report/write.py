"""Write a report as one HTML file: no network, a content security policy, every figure with its control and origin."""

from dataclasses import asdict, dataclass
from pathlib import Path

from interp.files import check_output, write_atomically
from interp.plots import Figure, pack, page, plot
from interp.report.parts import Report, Section, Table
from interp.report.tables import shown_cells, tidy, to_csv
from interp.results import Result

_HERE = Path(__file__).parent
_MAX_SHOWN_ROWS = 200
_PROVENANCE = {
    "model": "Model",
    "fingerprint": "Weights (hash)",
    "tokenizer": "Tokenizer (hash)",
    "tokens": "Token ids (hash)",
    "dtype": "Number type",
    "bos": "Beginning-of-sequence token",
    "call": "Call",
    "seed": "Seed",
    "weights": "Weights as",
    "versions": "Versions",
    "made": "Made",
}


@dataclass(frozen=True)
class _Csv:
    name: str
    deflated: str
    note: str


@dataclass(frozen=True)
class _FigureView:
    ident: str
    figure: Figure
    result: Result
    provenance: list[tuple[str, str]]
    csv: _Csv


@dataclass(frozen=True)
class _TableView:
    ident: str
    table: Table
    columns: list[str]
    rows: list[list[tuple[str, bool]]]
    csv: _Csv


@dataclass(frozen=True)
class _SectionView:
    ident: str
    section: Section
    paragraphs: list[str]
    figures: list[_FigureView]
    tables: list[_TableView]


def write_report(report: Report, path: str | Path, *, force: bool = False) -> Path:
    """Write a report where it opens in any browser, without a network and without the toolkit.

    Args:
        report: What to write; each result is drawn as the figure of its kind.
        path: The HTML file.
        force: Whether to replace an existing file.

    Returns:
        `path`.

    Raises:
        InputError: the file exists and `force` is off, or it cannot be written there.
        ResultError: a result has no control, or lacks what its figure shows.
    """
    target = check_output(Path(path), force=force)
    html = report_html(report)
    # A lone surrogate, as in a name that is not text, has no bytes: it is written so that it can be seen.
    return write_atomically(target, lambda part: part.write_bytes(html.encode("utf-8", "backslashreplace")))


def report_html(report: Report) -> str:
    """Return the report as HTML."""
    sections = [_view_section(section, place) for place, section in enumerate(report.sections, start=1)]
    bundles = {view.figure.bundle for section in sections for view in section.figures}
    scripts = [*page.figure_scripts(), _read("report.js")]
    template = page.environment(_HERE / "templates").get_template("report.html")
    return template.render(
        report=report,
        sections=sections,
        report_styles=page.safe(_read("report.css")),
        **page.context(sorted(name for name in bundles if name), scripts),
    )


def _read(name: str) -> str:
    return (_HERE / "static" / name).read_text(encoding="utf-8")


def _view_section(section: Section, place: int) -> _SectionView:
    paragraphs = [part.strip() for part in section.words.split("\n\n") if part.strip()]
    figures = [_view_figure(result, f"figure-{place}-{at}") for at, result in enumerate(section.figures, start=1)]
    tables = [_view_table(table, f"table-{place}-{at}") for at, table in enumerate(section.tables, start=1)]
    return _SectionView(f"section-{place}", section, paragraphs, figures, tables)


def _view_figure(result: Result, ident: str) -> _FigureView:
    table = tidy(result)
    csv = _Csv(f"{ident}.csv", _pack_csv(to_csv(table.frame)), table.left_out)
    return _FigureView(ident, plot(result), result, _provenance_rows(result), csv)


def _view_table(table: Table, ident: str) -> _TableView:
    frame = table.dataframe
    more = len(frame) - _MAX_SHOWN_ROWS
    note = f"{more} more rows are in the CSV." if more > 0 else ""
    csv = _Csv(f"{ident}.csv", _pack_csv(to_csv(frame)), note)
    return _TableView(ident, table, [str(name) for name in frame.columns], shown_cells(frame, _MAX_SHOWN_ROWS), csv)


def _pack_csv(text: str) -> str:
    return pack.deflate(text.encode("utf-8", "backslashreplace"))


def _provenance_rows(result: Result) -> list[tuple[str, str]]:
    fields = asdict(result.provenance)
    return [(_PROVENANCE.get(name, name), _words(value)) for name, value in fields.items()]


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "put before every prompt" if value else "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)
