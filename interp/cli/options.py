"""Arguments and options that the commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Columns(StrEnum):
    """What the columns of a sweep are."""

    pos = "pos"
    word = "word"
    head = "head"
    pos_head = "pos-head"


class Engine(StrEnum):
    """How cells are patched."""

    auto = "auto"
    exact = "exact"
    hooks = "hooks"


class Method(StrEnum):
    """Whether cells are patched, or estimated from a gradient."""

    exact = "exact"
    atp = "atp"
    atp_star = "atp*"


class Direction(StrEnum):
    """Which run is patched into which."""

    denoising = "denoising"
    noising = "noising"


class Labels(StrEnum):
    """What the label column of a probing task holds."""

    classes = "classes"
    numbers = "numbers"
    several = "several"


class Dtype(StrEnum):
    """Precision of weights and activations."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"
    float16 = "float16"


ModelName = Annotated[
    str,
    typer.Argument(
        metavar="[MODEL]",
        help="Hub name, local directory, zoo:NAME for a shipped model; random: before it for random weights.",
        show_default="zoo:polyglot",
    ),
]
Prompts = Annotated[
    Path | None,
    typer.Option(
        help="JSON Lines with clean, corrupted, answer, wrong_answer. Without it: shipped prompts for zoo:polyglot, "
        "repeated random tokens for any other model.",
        show_default=False,
    ),
]
Out = Annotated[Path | None, typer.Option(help="File to write.", show_default=False)]
Window = Annotated[int | None, typer.Option(help="Tokens in the cache of the streams.", show_default=False)]
Corpora = Annotated[
    list[Path] | None,
    typer.Option(help="Text file, once for each domain. Without it: the shipped sentences.", show_default=False),
]
LanguageCorpora = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        help="LANGUAGE=FILE, once for each language, as en=english.txt. Without it: the shipped sentences.",
        show_default=False,
    ),
]
Aligned = Annotated[
    bool,
    typer.Option("--aligned", help="Equal lines of all corpora mean the same; switches are built from them."),
]
Tagged = Annotated[
    Path | None,
    typer.Option(
        help="Text that switches, with a language for every word: CoNLL-U (CSID= or Lang=), a word and its tag on each "
        "line, or word/TAG.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; everything else on stderr.")]
MetricName = Annotated[str, typer.Option(help="logit_diff, log_prob, prob, rank, accuracy or kl.")]
Seed = Annotated[int, typer.Option(help="Decides whatever is drawn at random.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")]
Precision = Annotated[Dtype, typer.Option(help="Precision of weights and activations.")]
IgSteps = Annotated[
    int,
    typer.Option(
        "--ig-steps",
        min=0,
        help="Estimates: average gradients over so many runs between the two prompts (integrated gradients).",
    ),
]
RemoteCode = Annotated[
    bool, typer.Option("--allow-remote-code", help="Run code that the model's directory asks for. Refused by default.")
]
TaskFile = Annotated[
    Path | None,
    typer.Option(
        help="CSV with columns text, label and optionally group. Without it: the language of shipped sentences.",
        show_default=False,
    ),
]
Kinds = Annotated[
    str,
    typer.Option(
        "--sites",
        "--site",
        help="Kinds of site with commas between: resid_pre, resid_mid, resid_post, attn_out, mlp_out.",
    ),
]
LabelColumn = Annotated[
    Labels, typer.Option(help="What the label column holds: classes, numbers, or several labels such as noun|plural.")
]
Bins = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Probe by position, too, in so many bins of about equally many samples.", show_default=False
    ),
]
