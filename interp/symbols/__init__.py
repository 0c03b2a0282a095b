"""Symbols instead of words: emoji, translations, romanised words and nonsense in the plain word's place."""

from interp.symbols.study import symbol_study as symbol_study
