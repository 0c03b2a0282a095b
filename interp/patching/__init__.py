"""Activation patching: which activations carry the difference between two prompts."""

from interp.patching.sweep import check_prompts as check_prompts
from interp.patching.sweep import patch_sweep as patch_sweep
