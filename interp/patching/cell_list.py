"""Patch any list of cells, one at a time: kinds, layers, heads, positions and neurons mixed as one likes."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from interp.errors import InputError, PromptError, SiteError
from interp.metrics import Metric
from interp.models import facts
from interp.patching.cells import require_straight
from interp.patching.check import check_engine
from interp.patching.listed_cells import ExactCells, HookedCells, ListedCell, columns_of_cells
from interp.patching.measured import About, Measured, as_measured
from interp.patching.numbers import SweepNumbers
from interp.patching.plan import Direction, SweepPlan
from interp.patching.sweep import Engine, check_prompts, engine_for
from interp.prompts import PromptSet
from interp.results import Result
from interp.run.intervene import check_plan
from interp.run.interventions import Ablate
from interp.sites import SQUARE_HEAD_KINDS, Site
from interp.types import Model, PerPrompt

METHOD = (
    "Activation patching: one activation of one run is replaced by the other run's, and the metric is read again, for "
    "each cell of a list by itself. A cell that matters is enough (denoising) or needed (noising) to move the metric "
    "between these two prompts; this is no evidence that other prompts behave alike."
)
CONTROL = (
    "Placebo: the same vectors are moved by as much in a random direction; for a neuron, another neuron of its layer "
    "is moved by as much."
)


def patch_cells(  # noqa: PLR0913 -- one call; all but the first three are keywords
    model: Model,
    prompts: PromptSet,
    sites: Sequence[Site],
    *,
    units: Sequence[int | None] | None = None,
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    direction: Direction = "denoising",
    control: bool = True,
    seed: int = 0,
    engine: Engine = "auto",
) -> Result:
    """Measure what patching each activation of a list does to the metric.

    Args:
        model: A hooked model.
        prompts: Clean and corrupted prompts.
        sites: The cells. Without a head all heads are patched, without a position all aligned positions; a position
            counts aligned columns, as `patch_sweep` does.
        units: For each site the one MLP neuron that is patched (sites of kind `post`), or None for the whole site.
        metric: A metric's name, a `Metric`, or a function of a `Reading`.
        direction: `denoising` (clean into corrupted) or `noising` (corrupted into clean).
        control: Whether to run placebos.
        seed: Decides the placebos.
        engine: `auto`, `exact` or `hooks`.

    Returns:
        A `patch_cells` result with the dimension `cell`, labelled by the sites as they are written (`L2 post [7]` for
        neuron 7). A positive effect raises the metric.

    Raises:
        InputError: no sites, one twice, or units that do not fit them.
        SiteError: a site this model lacks, or whose edit changes nothing, or that the engine was asked for and cannot
            patch.
        PromptError: prompts the model cannot read, or that lack what the metric needs, or score alike, or have no such
            position.

    Example:
        >>> patch_cells(model, prompts, [Site(3, "z", head=2), Site(5, "mlp_out", pos=7)]).to_dataframe()
    """
    cells = _checked(model, prompts, sites, units)
    scored = check_prompts(model, prompts, metric)
    plan = SweepPlan("", columns_of_cells(model, prompts, cells[:1]), scored, direction, seed, ())
    return _Listed(model, prompts, cells, plan).result(engine, control=control)


def patch_neurons(  # noqa: PLR0913 -- one call; all but the first three are keywords
    model: Model,
    prompts: PromptSet,
    neurons: Sequence[tuple[int, int]],
    *,
    by: str = "neuron",
    metric: str | Metric | Callable[..., PerPrompt] = "logit_diff",
    direction: Direction = "denoising",
    control: bool = True,
    seed: int = 0,
    engine: Engine = "auto",
) -> Result:
    """Measure what patching each of some MLP neurons does to the metric.

    Args:
        model: A hooked model.
        prompts: Clean and corrupted prompts.
        neurons: (layer, neuron) of each.
        by: `neuron` patches it at all aligned positions at once, `pos` at each aligned position by itself.
        metric: A metric's name, a `Metric`, or a function of a `Reading`.
        direction: `denoising` (clean into corrupted) or `noising` (corrupted into clean).
        control: Whether to run placebos: another neuron of the layer, moved by as much.
        seed: Decides the placebos.
        engine: `auto`, `exact` or `hooks`.

    Returns:
        As `patch_cells`; with `by="pos"` the cells go through each neuron's positions, one neuron after the other.

    Raises:
        InputError: an unknown `by`, no neurons, or one twice.
        SiteError: a neuron this model lacks.
        PromptError: as `patch_cells`.
    """
    if by not in ("neuron", "pos"):
        raise InputError(f"Neurons cannot be patched by {by!r}. Expected 'neuron' or 'pos'.")
    n_pos = max(len(pair.aligned_positions) for pair in prompts)
    places = [None] if by == "neuron" else list(range(n_pos))
    cells = [(Site(layer, "post", pos=pos), unit) for layer, unit in neurons for pos in places]
    return patch_cells(
        model,
        prompts,
        [site for site, _ in cells],
        units=[unit for _, unit in cells],
        metric=metric,
        direction=direction,
        control=control,
        seed=seed,
        engine=engine,
    )


@dataclass(frozen=True)
class _Listed:
    model: Model
    prompts: PromptSet
    cells: list[ListedCell]
    plan: SweepPlan
    """Metric, direction and seed; kinds, columns and layers are the cells' own."""

    def result(self, engine: Engine, *, control: bool) -> Result:
        """Run the cells, those of one kind together."""
        groups: dict[tuple[str, bool], list[int]] = defaultdict(list)
        for number, cell in enumerate(self.cells):
            groups[cell.site.kind, cell.part is None].append(number)
        shape = len(self.prompts), len(self.cells)
        found, states, paths = np.full((2, *shape), np.nan), np.full(shape, -1), dict[str, str]()
        for (kind, _), numbers in groups.items():
            cells = [self.cells[number] for number in numbers]
            columns = columns_of_cells(self.model, self.prompts, cells)
            layers = tuple(sorted({cell.site.layer for cell in cells}))
            plan = replace(self.plan, kind=kind, columns=columns, layers=layers)
            made, paths[kind] = self._sweep(plan, cells, engine, control=control)
            where = [layers.index(cell.site.layer) for cell in cells], range(len(cells))
            found[0][:, numbers], found[1][:, numbers] = (part[:, *where] for part in (made.patched, made.placebo))
            if made.states is not None:
                states[:, numbers] = made.states[:, *where]
        return self._labelled(made, found if control else found[:1], states, paths)

    def _sweep(
        self, plan: SweepPlan, cells: list[ListedCell], engine: Engine, *, control: bool
    ) -> tuple[SweepNumbers, str]:
        decoder = None if engine == "hooks" else engine_for(self.model, plan, asked=engine == "exact")
        if decoder is None:
            return HookedCells(self.model, self.prompts, plan, cells=cells).numbers(placebo=control), "hooks"
        sweep = ExactCells(self.model, decoder, self.prompts, plan, layer_of=[cell.site.layer for cell in cells])
        check_engine(self.model, decoder, self.prompts, plan)
        return sweep.numbers(placebo=control), "exact"

    def _labelled(self, made: SweepNumbers, found: np.ndarray, states: np.ndarray, paths: dict[str, str]) -> Result:
        labels, plan = [str(cell) for cell in self.cells], self.plan
        plain = {"clean": made.clean, "corrupted": made.corrupted}
        exact = set(paths.values()) == {"exact"}
        measured = Measured(
            {"cell": labels},
            found[0],
            plain[plan.base],
            found[1] if len(found) > 1 else None,
            states if exact else None,
        )
        baselines = {side: float(values.mean()) for side, values in plain.items()}
        call = f"patch_cells({labels}, metric={plan.metric.name!r}, direction={plan.direction!r}, seed={plan.seed})"
        about = About(
            kind="patch_cells",
            base=plan.base,
            method=METHOD,
            control=CONTROL,
            call=call,
            metric=plan.metric,
            seed=plan.seed,
            baselines=baselines,
            tokens=[self.prompts.batch("clean").tokens, self.prompts.batch("corrupted").tokens],
            notes={"direction": plan.direction, "paths": paths},
        )
        return as_measured(
            self.model, self.prompts, measured, about, span=baselines[plan.source] - baselines[plan.base]
        )


def _checked(
    model: Model, prompts: PromptSet, sites: Sequence[Site], units: Sequence[int | None] | None
) -> list[ListedCell]:
    """The cells, once they are known to be there and to be different."""
    units = [None] * len(sites) if units is None else units
    if not sites:
        raise InputError("There are no cells to patch. Give at least one site, such as Site(0, 'resid_post').")
    if len(units) != len(sites):
        raise InputError(f"{len(units)} units for {len(sites)} sites. Give one for each, None for a whole site.")
    cells = [ListedCell(site, unit) for site, unit in zip(sites, units, strict=True)]
    if twice := [str(cell) for number, cell in enumerate(cells) if cell in cells[:number]]:
        raise InputError(f"{twice[0]} is listed twice. Give each cell once.")
    check_plan(model, {site: Ablate.zero() for site in sites})
    longest, d_mlp = max(len(pair.aligned_positions) for pair in prompts), facts(model).d_mlp
    for cell in cells:
        if cell.unit is not None and (cell.site.kind != "post" or not 0 <= cell.unit < d_mlp):
            raise SiteError(
                f"Unit {cell.unit} of {cell.site}: there is no such neuron. Expected a site of kind 'post' and a "
                f"neuron from 0 to {d_mlp - 1}."
            )
        if cell.site.pos is not None and cell.site.pos >= longest:
            raise PromptError(f"{cell}: no prompt has that position. Expected 0 to {longest - 1}.")
    if square := [str(cell) for cell in cells if cell.site.kind in SQUARE_HEAD_KINDS]:
        require_straight(prompts, square[0])
    return cells
