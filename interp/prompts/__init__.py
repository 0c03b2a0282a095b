"""Prompts: pairs of clean and corrupted token ids with answers, checked when made."""

from interp.prompts.pair import Alignment as Alignment
from interp.prompts.pair import PromptPair as PromptPair
from interp.prompts.prompt_set import PromptSet as PromptSet
from interp.prompts.reading import pair_from_text as pair_from_text
from interp.prompts.reading import read_prompts as read_prompts
from interp.prompts.repeated import repeated_random_prompts as repeated_random_prompts
from interp.prompts.spans import Span as Span
from interp.prompts.token_batch import TokenBatch as TokenBatch
