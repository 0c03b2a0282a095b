"""What a report is made of: sections of words, results and tables. It knows no analysis."""

from dataclasses import dataclass, field

import pandas as pd

from interp.results import Result


@dataclass(frozen=True)
class Table:
    """A table of facts."""

    title: str
    dataframe: pd.DataFrame
    note: str = ""


@dataclass(frozen=True)
class Section:
    """One heading with words, figures and tables under it."""

    title: str
    words: str = ""
    """Plain text; an empty line begins a new paragraph."""
    figures: list[Result] = field(default_factory=list)
    """Results, each drawn as the figure of its kind."""
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """A page to open, read and send to somebody."""

    title: str
    subtitle: str = ""
    sections: list[Section] = field(default_factory=list)
