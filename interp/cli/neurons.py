"""The command `interp neurons`: a page about a model's languages and the neurons behind them, and its results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interp.cli.work import FIGURE_SUFFIX, RESULT_SUFFIX, Loading, progress, results_directory
from interp.errors import InputError
from interp.files import check_output
from interp.languages import read_tagged
from interp.neuron_look import LanguageTexts, aligned_documents, cut_documents, look_at_neurons, shipped_texts
from interp.report import write_report


def neurons(
    loading: Loading,
    corpora: Sequence[str],
    tagged: Path | None,
    out: Path | None,
    *,
    aligned: bool,
    force: bool,
) -> dict[str, Any]:
    """Run `interp neurons`."""
    out = out or loading.default_out("neurons", FIGURE_SUFFIX)
    if out.suffix != FIGURE_SUFFIX:
        raise InputError(
            f"{out} ends in {out.suffix!r}. Expected {FIGURE_SUFFIX}; results lie in a directory beside it."
        )
    check_output(out, force=force)
    results = results_directory(out, force=force)
    read = read_texts(corpora, tagged, aligned=aligned)
    model = loading.load()
    control = next(loading.load_controls(1))
    look = look_at_neurons(model, control, read, progress=progress, seed=loading.seed)
    progress("writing the report")
    path = write_report(look.report, out, force=force).resolve()
    results.mkdir(exist_ok=True)
    written = []
    for number, result in enumerate(look.results):
        written.append(str(result.save(results / f"{number:02}-{result.kind}{RESULT_SUFFIX}").resolve()))
    return {"report": str(path), "results": written, "text": f"{path}\n{results.resolve()}"}


def read_texts(corpora: Sequence[str], tagged: Path | None, *, aligned: bool) -> LanguageTexts:
    """Read `en=FILE` for each language, and the tagged corpus; the shipped sentences where no corpus is given."""
    given = tuple(read_tagged(tagged)) if tagged else ()
    if not corpora:
        shipped = shipped_texts()
        return LanguageTexts(shipped.documents, shipped.aligned, given)
    passages: dict[str, str] = {}
    for asked in corpora:
        name, equals, path = asked.partition("=")
        if not (name and equals and path):
            raise InputError(f"--corpus {asked} names no language. Expected LANGUAGE=FILE, as --corpus en=english.txt.")
        if name in passages:
            raise InputError(f"--corpus gives {name!r} twice. Expected one file for each language.")
        passages[name] = _read(Path(path))
    if aligned:
        return LanguageTexts(aligned_documents(passages), True, given)
    return LanguageTexts({name: cut_documents(text) for name, text in passages.items()}, False, given)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the corpus {path}: {error}. Expected a file of UTF-8 text.") from error
