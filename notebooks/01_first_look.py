# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A first look at a model
#
# A quarter of an hour with a small language model that ships with the toolkit. The question:
#
# > After *In the evening he also*, English goes on with *was*; after *In the evening they also*, with *were*.
# > The word right before the verb is the same. Where in the model does the number of the subject travel to the verb?
#
# Nothing here needs a network. The notebook runs in about a minute on one processor core.
# Under each figure stands what to read from it, and what not to.

# %%
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch

import interp
import probes

# %% [markdown]
# ## The model
#
# `zoo:polyglot` is a small Llama-shaped model trained on novels in English, French, German and Spanish.
# A hub name or a local directory works in its place.

# %%
model = interp.load_model("zoo:polyglot")
pd.Series(asdict(interp.facts(model)), name="value").to_frame()

# %% [markdown]
# Which activations does it have, and which of them change the output when they are edited?
# The table is measured on this model. An edit at a site that is not `causal` would silently do nothing;
# the toolkit refuses it.

# %%
interp.describe(model).to_dataframe()[["kind", "exists", "causal", "shape"]]

# %% [markdown]
# ## Where does it look?
#
# Every figure stands beside a control. For attention it is the same architecture with random weights:
# what it shows too is no sign of training.

# %%
controls = [interp.load_model("random:zoo:polyglot", seed=seed) for seed in range(3)]
sentences = [
    "In the evening they also went back to the old house, and they were happy.",
    "Le soir, ils y allaient aussi, et la vieille maison était encore là.",
]
texts = interp.TokenBatch.of([interp.encode(model, sentence) for sentence in sentences])

# %%
patterns = interp.attention_patterns(model, texts, controls[0])
interp.plot(patterns)

# %% [markdown]
# Click a head on the left, point at a token, switch to the random weights.
# A bright cell says where a head looks, not what it takes from there, nor whether anything later uses it.
#
# Some heads look in ways that have names. How strongly does each head behave like a known kind?

# %%
scores = interp.head_scores(model, texts=texts, control_models=controls)
interp.plot(scores)

# %% [markdown]
# Read the scale first: each row has its own, and the darkest cell of a row may still be a small number.
# A ring means more than the random-weights models reach. With three of them no p-value can fall below 1/4,
# so a ring is a hint: take 19 controls or more before you write that a head is an induction head.
# Most of the scores come from random tokens said twice, and are about that kind of text.

# %% [markdown]
# ## Prompts of your own
#
# Patching compares two prompts that differ in one thing. Here it is the subject.
# `pair_from_text` refuses pairs that cannot be compared: unequal lengths, or an answer of several tokens.

# %%
encoder = interp.ModelEncoder(model)


def ask(opening):
    """One pair of prompts: the clean one asks for was, the corrupted one for were."""
    clean, corrupted = f"{opening} he also", f"{opening} they also"
    return interp.pair_from_text(clean, corrupted, encoder, answer=" was", wrong_answer=" were")


ask("In the evening").str_tokens

# %% [markdown]
# One pair is an anecdote. We take sixteen: eight to find something, and eight others to confirm it.

# %%
OPENINGS = """
In the evening, In the house, In the garden, In the street, In the winter, In the town, At the door, At that time
In the morning, By the window, On the road, On the hill, For many years, After the war, Before the fire, In his room
"""
to_find, to_confirm = (
    interp.PromptSet.of([ask(opening.strip()) for opening in line.split(",")]) for line in OPENINGS.strip().splitlines()
)

# %% [markdown]
# Before asking *where*, ask *whether*. The logit difference is how much the model prefers *was* to *were*, in nats.


# %%
def logit_diff(prompts, side):
    """How much the answer is preferred to the wrong one, in nats, for each prompt."""
    batch, each = prompts.batch(side), torch.arange(len(prompts))
    # Padding stands on the right, where a causal model never looks.
    last = model(torch.from_numpy(batch.tokens))[each, batch.lengths - 1]
    answers, wrong = (torch.from_numpy(prompts.answers(name)) for name in ("answer", "wrong_answer"))
    return (last[each, answers] - last[each, wrong]).numpy()


behaviour = {"after he": logit_diff(to_find, "clean"), "after they": logit_diff(to_find, "corrupted")}
pd.DataFrame(behaviour).agg(["mean", "min", "max"]).round(2)

# %% [markdown]
# Above zero after *he* and below after *they*: the model follows the subject.
# That does not make it a grammarian. It may have learned these words, and no rule.
#
# ## Which activations carry it?
#
# Run the *they* prompt, put in one activation from the *he* prompt, and see how far the answer moves towards *was*.
# First the residual stream, word by word. The control is a random change of the same size.

# %%
by_word = interp.patch_sweep(model, to_find, "resid_pre", by="word")
interp.plot(by_word)

# %% [markdown]
# Follow the dark cells downwards: the subject matters at its own word in the first layer,
# and the last word takes over, because the verb is predicted there. A ring on a pale cell says: small, but not zero.
# Look at the control too. Where a random change also moves the answer, part of the effect is that *they* is gone,
# not that *he* is there.
#
# Something moved the subject to the last word. Only attention moves anything between words, so look at the heads.

# %%
by_head = interp.patch_sweep(model, to_find, "z", by="head")
interp.plot(by_head)

# %% [markdown]
# A dark cell says that this head's output is *enough* to move the answer. It does not say that the model *needs* it.
# Eight pairs from one template are also few: the p-values are about these prompts, not about English.
#
# ## Is it needed? An intervention on other prompts
#
# Take the two strongest heads, replace what they write, at every position, by its average over both kinds of prompt,
# and measure on the eight pairs that played no part in choosing them.

# %%
effects = by_head.data["effect"].to_series().sort_values(ascending=False)
heads = [interp.Site(layer, "z", head=head) for layer, head in effects.index]
top, others = heads[:2], heads[2:]

both = interp.TokenBatch.of([getattr(pair, side) for side in ("clean", "corrupted") for pair in to_confirm])
seen = interp.capture(model, both, heads)
[str(head) for head in top]


# %%
def gap(plan=None):
    """How much the subject moves the answer, in nats, with these interventions in place."""
    if plan:
        with interp.intervene(model, plan):
            return gap()
    return float((logit_diff(to_confirm, "clean") - logit_diff(to_confirm, "corrupted")).mean())


def ablation(chosen):
    """Replace what these heads write by its average."""
    return {head: interp.Ablate.mean(seen[head], both) for head in chosen}


def placebo(chosen, draw):
    """Change the same heads by as much, in random directions."""
    edits = ablation(chosen).items()
    return {head: interp.Placebo(edit, seed=len(chosen) * draw + k) for k, (head, edit) in enumerate(edits)}


# %% [markdown]
# A number alone says little, so it stands beside two others: the same done to two other heads (20 draws),
# and a placebo, which changes the same two heads just as much, in random directions (20 draws).

# %%
rng = np.random.default_rng(0)
draws = [[others[place] for place in rng.choice(len(others), 2, replace=False)] for _ in range(20)]

gaps = {
    "nothing changed": [gap()],
    "the two strongest heads ablated": [gap(ablation(top))],
    "two other heads ablated": [gap(ablation(draw)) for draw in draws],
    "placebo in the two strongest": [gap(placebo(top, draw)) for draw in range(20)],
}
rows = {name: [np.mean(runs), min(runs), max(runs)] for name, runs in gaps.items()}
confirmed = pd.DataFrame.from_dict(rows, orient="index", columns=["gap (nats)", "lowest", "highest"])
confirmed.round(2)

# %% [markdown]
# If the second row is far below the others, these heads are needed here, and it is their content that counts:
# disturbing them as much, or removing others, does less. It is not evidence that these heads *do* agreement.
# They may move every kind of information from a word to the next: look at them again in the attention figure above.
#
# ## From which layer on can it be read off?
#
# A linear probe at the last word, *also*: was the subject *he* or *they*?
# All prompts of one opening are kept together, so that the probe is tested on openings it has not seen.

# %%
pairs = [*to_find, *to_confirm]
prompts = interp.TokenBatch.of([pair.clean for pair in pairs] + [pair.corrupted for pair in pairs])
task = probes.ProbeTask(
    prompts,
    prompts=np.arange(len(prompts)),
    positions=prompts.lengths - 1,
    labels=np.repeat(["he", "they"], len(pairs)),
    groups=np.tile(np.arange(len(pairs)), 2),
    what="subject",
)
probe = probes.probe_task(model, controls[0], task)
interp.plot(probe)

# %% [markdown]
# Look at the random-weights line before you enjoy the other one. Random attention already carries *he* or *they* to the
# next word, and a linear probe finds it there. High accuracy is therefore **no** sign that training put it there,
# let alone that the model uses it: the ablation speaks for use, the probe does not.
#
# ## Take it with you
#
# One HTML file with all figures, their controls and where every number comes from. It opens in any browser, offline.

# %%
found = "Gap between he and they on eight pairs not used to choose the heads: " + ", ".join(
    f"{name} {nats:.2f}" for name, nats in confirmed["gap (nats)"].items()
)
report = interp.Report(
    "Where does number agreement live?",
    "he/they ... was/were in zoo:polyglot",
    [
        interp.Section("Where does it look?", "Beside random-weights controls.", [patterns, scores]),
        interp.Section("Which activations carry the subject?", found, [by_word, by_head]),
        interp.Section("Where can it be read off?", "Read the random-weights line first.", [probe]),
    ],
)
interp.write_report(report, "first-look.html", force=True)
