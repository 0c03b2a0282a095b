"""The logit lens on languages: in which one a model would go on, layer by layer, and where that is decided."""

from interp.lens.language_lens import language_lens as language_lens
from interp.lens.material import LensMaterial as LensMaterial
from interp.lens.material import labelled_material as labelled_material
from interp.lens.material import text_material as text_material
from interp.lens.material import word_material as word_material
