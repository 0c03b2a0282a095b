# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Why does every token look at the first one?
#
# In trained transformers many heads put most of their attention on the first token, whatever it is. This notebook
# counts these **attention sinks** in a small model, asks what they do by taking them away, and shows what happens when
# the first token leaves a sliding window. Every number stands beside a control.
#
# Nothing here needs a network. It runs in about two minutes on one processor core.

# %%
import interp
from interp import attention, sink_look, streaming

model = interp.load_model("zoo:polyglot")
control = interp.load_model("random:zoo:polyglot", seed=1)

# %% [markdown]
# The text: sentences in four languages that ship with the toolkit, cut into sequences that begin with `<s>` (BOS).
# A text of your own works in its place: `sink_look.cut_corpus(model, {"mine": open("mine.txt").read()})`.

# %%
corpus = sink_look.cut_corpus(model, sink_look.shipped_passages(), n_tokens=96)
corpus.batch.tokens.shape

# %% [markdown]
# ## How many are there?
#
# One pass over the corpus; patterns are reduced where they pass, so a corpus of any length fits.

# %%
census = attention.sink_census(model, corpus.batch, control)
interp.plot(census.heads)

# %% [markdown]
# The same architecture with random weights spreads its attention: sinks are learnt.
#
# The literature counts heads above a threshold, and papers use different ones. A share at one threshold says little;
# here is the whole curve. Never compare numbers taken at different lengths T: the caption says which it was.

# %%
interp.plot(census.epsilons)

# %% [markdown]
# What goes with it, layer by layer: the first token's residual stream grows long, and attention rests where it does.

# %%
interp.plot(census.depth)

# %% [markdown]
# ## What are they for?
#
# Seeing a sink is no evidence that it does anything. Each row below takes a part of it away: the key that is looked at,
# its value, the neuron that writes the spike; beside it, as large an edit of something else.

# %%
few = corpus.batch[:: len(corpus.batch) // 8]
tests = attention.sink_tests(model, few)
interp.plot(tests)

# %% [markdown]
# Read the differences, not the discs. Masking the first key forces each head to look elsewhere, and the loss rises far
# more than when another key is masked. Is it the place that is missed, or what is looked up there? The row below tells:
# the attention stays, and only the first token's *value* is set to zero. Where that costs nothing, the sink is a place
# to look when there is nothing to find, as reported of large models. In this one it costs as much as the mask: BOS is
# read as a constant, and the layers above count on it. Taking no more weight than another key has (*equal weight*)
# costs little either way: it is the amount that makes the first token different.

# %%
table = tests.to_dataframe().set_index("test")[["effect", "control", "above_control", "q_fdr"]]
table.dropna().round(3)

# %% [markdown]
# ## What if its beginning is evicted?
#
# A cache that holds the last few tokens loses the first one. Keeping it for ever, at the same cost, is the trick of
# StreamingLLM; keeping as many other tokens is its control.

# %%
streams = streaming.cut_streams(model, corpus.text, n_streams=8, length=400)
streaming.estimate_streaming(model, streams, window=64, sinks=(0, 1, 4)).text

# %%
streamed = streaming.stream_losses(model, streams, window=64, sinks=(0, 1, 4))
interp.plot(streamed)

# %% [markdown]
# Where the bars of the kept first tokens lie below zero and the striped ones beside them do not, it is the first token
# that counts, not the number of tokens kept. `interp sinks MODEL` makes one page of all this.
