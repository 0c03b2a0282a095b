# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # What does it know, how simply, and does it use it?
#
# A **probe** is a small classifier fitted to a model's activations. That it works shows that something can be read
# off; it does not show that the model reads it. This notebook asks a small model of four languages three questions
# about the language of a text: where can it be read, how simply, and does the model go by it? Every number stands
# beside a control.
#
# Nothing here needs a network. It runs in a few minutes on one processor core.

# %%
from functools import partial

import interp
import probes
from interp import neuron_look

model = interp.load_model("zoo:polyglot")
control = interp.load_model("random:zoo:polyglot", seed=1)
encode = partial(interp.encode, model)

# %% [markdown]
# A task is some labelled positions in some prompts, and groups that are never both fitted to and tested on. This one
# draws four tokens from each of 160 sentences and labels them with the language of their sentence. For labels of your
# own, write a CSV file with the columns text and label, and `probes.read_task("mine.csv", encode)`.

# %%
texts = neuron_look.shipped_texts().half(0, most=40)
task = probes.token_language_task(texts, encode, samples_per_text=4)
len(task.labels), task.what

# %% [markdown]
# ## Where can it be read?
#
# One probe after every block, fitted to some sentences and tested on others. Only the distance to the highest control
# speaks for what the model has learnt: many tokens give their language away by themselves, and a model with random
# weights mixes the words before into every token, too.

# %%
interp.plot(probes.probe_task(model, control, task))

# %% [markdown]
# What a reader finds who sees the token alone, as a vector or as a word of a dictionary:

# %%
interp.plot(probes.input_floor(model, task))

# %% [markdown]
# At all kinds of site and by position in one call, each captured once. `plan` says how samples are split, how often
# labels are permuted, and how positions are put together.

# %%
plan = probes.SweepPlan(n_bins=3, n_shuffles=1)
interp.plot(probes.probe_sites(model, control, task, ["resid_post", "attn_out", "mlp_out"], plan=plan))

# %% [markdown]
# ## Along which direction, and how simply?
#
# The same samples, laid along the direction that the probe of one layer reads French on. Hover to see the token.

# %%
got = probes.capture_labelled(model, task)
words = probes.sample_contexts(model, task)
interp.plot(probes.project_samples(got.data, words, got.provenance, layer=1, label="fr"))

# %% [markdown]
# Do later layers read along the same direction? The diagonal says how well a direction is known at all.

# %%
interp.plot(probes.probe_directions(got.data, got.provenance, label="fr", n_halvings=2))

# %% [markdown]
# How many texts does a probe need before it reads the label? What is plainly encoded is read from few.

# %%
interp.plot(probes.sample_efficiency(got.data, probes.LogisticProbe(), got.provenance, n_sizes=5, n_draws=2))

# %% [markdown]
# ## Does the model use it?
#
# Erase the language: LEACE takes out just what any linear reader of it finds. Then let the model run on. If what it
# says next moves more than after erasing as many random directions, it goes by what was erased. Putting the right label
# back should undo it.

# %%
whole = probes.text_language_task({language: rows[:12] for language, rows in texts.items()}, encode)
sites = [interp.Site(layer, "resid_post") for layer in range(3)]
used = probes.amnesic_probe(model, whole, probes.next_token_divergence(whole), sites, n_random=5)
interp.plot(used)

# %%
used.data[["effect", "control", "above_control", "reinjected", "p_corrected"]].to_dataframe().round(4)

# %% [markdown]
# That something else went with the language is always possible: an erasure says that the answer depends on what was
# taken, not that it was taken as a language. `probes.label_swap` puts another label's part in, `probes.steer_by_probe`
# adds the direction dose by dose, `probes.interchange_probe` learns the subspace, and `probes.probe_verdict` puts what
# can be read and what is used into one table.
