"""The command `interp sinks`: a page about a model's attention sinks, and the results behind it."""

from pathlib import Path
from typing import Any

from interp.cli.work import FIGURE_SUFFIX, RESULT_SUFFIX, Loading, progress, results_directory
from interp.errors import InputError
from interp.files import check_output
from interp.report import write_report
from interp.sink_look import cut_corpus, look_at_sinks, shipped_passages


def sinks(loading: Loading, corpus: list[Path], window: int | None, out: Path | None, *, force: bool) -> dict[str, Any]:
    """Run `interp sinks`."""
    out = out or loading.default_out("sinks", FIGURE_SUFFIX)
    if out.suffix != FIGURE_SUFFIX:
        raise InputError(
            f"{out} ends in {out.suffix!r}. Expected {FIGURE_SUFFIX}; results lie in a directory beside it."
        )
    check_output(out, force=force)
    results = results_directory(out, force=force)
    if window is not None and window < 1:
        raise InputError(f"A window of {window} holds no token. Expected 1 or more, as --window 64.")
    passages = _read(corpus) if corpus else shipped_passages()
    model = loading.load()
    control = next(loading.load_controls(1))
    look = look_at_sinks(
        model, control, cut_corpus(model, passages), window=window, progress=progress, seed=loading.seed
    )
    progress("writing the report")
    path = write_report(look.report, out, force=force).resolve()
    results.mkdir(exist_ok=True)
    written = [str(result.save(results / f"{result.kind}{RESULT_SUFFIX}").resolve()) for result in look.results]
    return {"report": str(path), "results": written, "text": f"{path}\n{results.resolve()}"}


def _read(paths: list[Path]) -> dict[str, str]:
    """Text of each file, by its name without the suffix."""
    if len({path.stem for path in paths}) < len(paths):
        raise InputError(f"Two of {[str(path) for path in paths]} have one name. Expected one name for each domain.")
    passages = {}
    for path in paths:
        try:
            passages[path.stem] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"Cannot read the corpus {path}: {error}. Expected a file of UTF-8 text.") from error
    return passages
