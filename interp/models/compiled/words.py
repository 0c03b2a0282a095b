"""Words that the compiled models know: enough for random sequences of distinct words, and for sentences with names."""

NAMES = ("Mary", "John", "Anna", "Paul", "Ruth", "Mark", "Emma", "Luke", "Jane", "Adam", "Rose", "Hugo")

_FILLERS = """the a and or of to in at on by with from over under when while then went came gave took saw held made cat
dog bird horse fish store house garden river road drink letter apple bread lamp key green small old new quiet . ,"""
FILLERS = tuple(_FILLERS.split())

WORDS = FILLERS + NAMES
