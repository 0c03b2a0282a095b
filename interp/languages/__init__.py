"""Languages of texts and words: plain text work, no torch."""

from interp.languages.identify import Identified as Identified
from interp.languages.identify import identify as identify
