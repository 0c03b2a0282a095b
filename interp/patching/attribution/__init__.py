"""Attribution patching: every cell of a sweep estimated from two runs and the gradient of one of them."""

from interp.patching.attribution.against import against_exact as against_exact
from interp.patching.attribution.against import with_exact as with_exact
from interp.patching.attribution.answer import as_attribution as as_attribution
from interp.patching.attribution.estimate import AttributionSweep as AttributionSweep
from interp.patching.attribution.estimate import Method as Method
