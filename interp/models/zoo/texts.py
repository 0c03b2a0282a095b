"""Text that ships with the toolkit, written for it: sentences in four languages, and prompt pairs."""

import csv
from pathlib import Path

TEXT = Path(__file__).parent / "text"
AGREEMENT = TEXT / "agreement_fr.jsonl"
"""French subject-verb agreement across a clitic: `il y` against `ils y`, so ` était` against ` étaient`."""


def read_sentences() -> dict[str, list[str]]:
    """The shipped sentences by language; equal places in the lists mean the same thing."""
    with (TEXT / "sentences.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {language: list(column) for language, *column in zip(*rows, strict=True)}
