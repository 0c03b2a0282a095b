"""Path patching: what one part of a model tells another, with every other reader left as it was."""

from interp.patching.paths.direct import direct_paths as direct_paths
from interp.patching.paths.general import path_patch as path_patch
