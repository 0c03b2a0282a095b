"""Every refusal of the toolkit: one sentence saying what is wrong, what was expected and what to do."""


class InterpError(Exception):
    """Base of all refusals; the command line prints its message and exits with code 2."""


class InputError(InterpError):
    """A file, setting or argument that cannot be used."""


class PromptError(InterpError):
    """Prompts that cannot be analysed as given."""


class SiteError(InterpError):
    """A site that this model lacks, or that has no effect when edited."""


class HookError(InterpError):
    """An intervention that did not happen as planned."""


class ModelError(InterpError):
    """A model that cannot be loaded or trusted."""


class ResultError(InterpError):
    """A result that is not finite, not labelled or not readable."""
