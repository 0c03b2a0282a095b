"""Everything that must hold: style, types, floors, tests; with `--slow` the long tests instead."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BESIDE_PYTHON = Path(sys.executable).parent


def tool(name: str) -> str:
    """A command installed beside this interpreter, or else on the path."""
    return str(BESIDE_PYTHON / name) if (BESIDE_PYTHON / name).exists() else name


CHECKS = [
    [tool("ruff"), "check", "."],
    [tool("ruff"), "format", "--check", "."],
    [tool("ty"), "check", "--python", sys.prefix, "--error-on-warning"],
    [tool("lint-imports")],
]
PYTEST = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile"]


def main() -> int:
    """Run every check, stop at none, and return 1 if any failed."""
    if shutil.which("chromium") is None:
        sys.stderr.write("No chromium: browser tests are skipped. Get one with: apt-get install chromium\n")
    slow = sys.argv[1:] == ["--slow"]
    commands = [[*PYTEST, "-m", "slow"]] if slow else [*CHECKS, PYTEST]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    failed = []
    for command in commands:
        sys.stderr.write(f"$ {' '.join([Path(command[0]).name, *command[1:]])}\n")
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            failed.append(Path(command[0]).name)
    if failed:
        sys.stderr.write(f"Failed: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
