"""Activation patching: which activations carry the difference between two prompts."""

from interp.patching.ablation import ablate_sweep as ablate_sweep
from interp.patching.ablation import steer_sweep as steer_sweep
from interp.patching.attribution import against_exact as against_exact
from interp.patching.cell_list import patch_cells as patch_cells
from interp.patching.cell_list import patch_neurons as patch_neurons
from interp.patching.estimate import estimate_sweep as estimate_sweep
from interp.patching.paths import direct_paths as direct_paths
from interp.patching.paths import path_patch as path_patch
from interp.patching.sweep import check_prompts as check_prompts
from interp.patching.sweep import patch_sweep as patch_sweep
