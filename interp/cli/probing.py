"""What `interp probe` does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp.cli.work import Loading, progress, write_result
from interp.errors import InputError
from interp.models import encode
from interp.overview import default_task
from interp.results import Result
from interp.types import Model
from probes import SweepPlan, probe_sites, probe_task, read_task
from probes.tasks.site_sweep import check_kinds
from probes.tasks.task_file import LabelColumn


@dataclass(frozen=True)
class Asked:
    """What `interp probe` is to look for, and where."""

    task: Path | None
    sites: str
    labels: LabelColumn
    n_bins: int | None

    def check(self) -> list[str]:
        """Return the kinds of site, once everything is known to fit.

        Raises:
            InputError: kinds that cannot be probed, fewer than two bins, a file that is not there, or numbers without a
                file of them.
        """
        kinds = [kind.strip() for kind in self.sites.split(",")]
        check_kinds(kinds)
        if self.n_bins is not None and self.n_bins < 2:
            raise InputError(f"--positions {self.n_bins} tells no positions apart. Expected at least 2 bins.")
        if self.task is not None and not self.task.is_file():
            raise InputError(f"There is no file {self.task}. Expected a CSV file with columns text and label.")
        if self.labels != "classes" and self.task is None:
            raise InputError(
                f"--labels {self.labels} without --task: the labels of the default task are classes. Give a CSV file."
            )
        return kinds


def probe(loading: Loading, given: Asked, out: Path | None, *, force: bool) -> dict[str, Any]:
    """Run `interp probe`: curves over layers for one kind of site, a grid for several or for positions."""
    kinds = given.check()

    def work(model: Model) -> Result:
        def encoded(line: str) -> Any:
            return encode(model, line)

        if given.task:
            asked = read_task(given.task, encoded, labels=given.labels)
        else:
            asked = default_task(encoded, seed=loading.seed)
        control = next(loading.load_controls(1))
        progress("probing")
        if len(kinds) > 1 or given.n_bins:
            return probe_sites(model, control, asked, kinds, plan=SweepPlan(n_bins=given.n_bins, seed=loading.seed))
        return probe_task(model, control, asked, site_kind=kinds[0], seed=loading.seed)

    return write_result("probe", loading, out, work, force=force)
