"""Languages of texts and words: plain text work, no torch."""

from interp.languages.code_mix import CodeMix as CodeMix
from interp.languages.code_mix import code_mix as code_mix
from interp.languages.identify import Identified as Identified
from interp.languages.identify import identify as identify
from interp.languages.tagged import TaggedText as TaggedText
from interp.languages.tagged import read_tagged as read_tagged
