"""Which cell of a notebook carries a JavaScript bundle, so that each is embedded at most once."""

import sys

_carriers: dict[str, tuple[str | None, int]] = {}
"""Bundle name -> (cell, execution count) of the output that carries it."""


def claim_bundle(name: str | None) -> str | None:
    """Return the bundle that the output being made must carry, or None where an earlier output does.

    A cell that is run again loses its old output, so it carries its bundle again; this needs a front end that names its
    cells, as JupyterLab and VS Code do. Figures of one page wait for the bundle, in whatever order they are shown.
    """
    # Colab shows every output in a frame of its own, where nothing can be shared.
    if name is None or "google.colab" in sys.modules:
        return name
    cell, count = _running_cell()
    if name in _carriers and (cell is None or _carriers[name][0] != cell or _carriers[name][1] == count):
        return None
    _carriers[name] = cell, count
    return name


def forget_bundles() -> None:
    """Let the next figure carry its bundle again: after outputs were cleared, or in a second notebook."""
    _carriers.clear()


def _running_cell() -> tuple[str | None, int]:
    # IPython is never imported from here: if nobody has, this is not a notebook.
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    if shell is None:
        return None, 0
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return parent.get("metadata", {}).get("cellId"), shell.execution_count
