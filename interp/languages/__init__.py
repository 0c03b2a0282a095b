"""Languages of texts and words: plain text work, no torch."""

from interp.languages.aligned import AlignedTexts as AlignedTexts
from interp.languages.aligned import read_aligned_texts as read_aligned_texts
from interp.languages.code_mix import CodeMix as CodeMix
from interp.languages.code_mix import code_mix as code_mix
from interp.languages.identify import Identified as Identified
from interp.languages.identify import identify as identify
from interp.languages.romanise import romanise as romanise
from interp.languages.shuffle import shuffle_letters as shuffle_letters
from interp.languages.shuffle import shuffle_words as shuffle_words
from interp.languages.tag import tag_words as tag_words
from interp.languages.tagged import TaggedText as TaggedText
from interp.languages.tagged import read_tagged as read_tagged
