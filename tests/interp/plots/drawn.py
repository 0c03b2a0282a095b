"""What the tests of figures look for in a drawn figure."""

import dataclasses

from interp.results import Result


def drawn_lines(figure, words: str | None = None) -> list:
    found = [trace for trace in figure.plotly.data if trace.mode == "lines+markers"]
    return [trace for trace in found if words is None or trace.name == words]


def drawn_marks(figure) -> dict:
    return {trace.name: trace for trace in figure.plotly.data}


def panel_titles(figure) -> list[str]:
    return [note.text.removeprefix("<b>").removesuffix("</b>") for note in figure.plotly.layout.annotations]


def words_at_the_right(figure) -> list[str]:
    return [note.text for note in figure.plotly.layout.annotations if note.xref == "paper"]


def without(result: Result, *names: str) -> Result:
    return dataclasses.replace(result, data=result.data.drop_vars(names))
