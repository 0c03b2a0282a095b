"""The command `interp`: reads arguments, calls one function, says where the result lies.

Nothing heavy is imported here, so that `interp --help` answers at once.
"""

from interp.cli.app import app as app
from interp.cli.app import main as main
