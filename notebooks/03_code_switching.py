# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Which neurons speak which language, and which follow a switch?
#
# A model of several languages now and then goes on in another one. This notebook finds **language neurons** and
# **code-switching neurons** in a small model of four languages, asks what they do by setting them, and looks at a few
# switches token by token. Every number stands beside a control.
#
# Nothing here needs a network. It runs in a few minutes on one processor core.

# %%
import interp
from interp import lens, neuron_look, neurons, steering

model = interp.load_model("zoo:polyglot")
control = interp.load_model("random:zoo:polyglot", seed=1)

# %% [markdown]
# The text: aligned sentences in English, French, German and Spanish that ship with the toolkit. Half of them are
# searched; what is found there is tested on the other half.

# %%
read = neuron_look.shipped_texts()
search, test = read.half(0), read.half(1, most=24)
{name: (len(search[name]), len(test[name])) for name in read.languages}

# %% [markdown]
# ## Language neurons
#
# One pass reads what every MLP neuron does in every sentence; five published methods score it in one table. The same
# sentences with the languages dealt out anew, and the same architecture with random weights, are the controls.

# %%
activity, at_random = (neurons.text_activity(one, neurons.label_passages(one, search)) for one in (model, control))
found = neurons.language_neurons(activity, random_weights=at_random)
interp.plot(found)

# %%
interp.plot(neurons.depth_profile(found))

# %% [markdown]
# Methods do not agree on which neurons they name, nor on where these lie. A neuron that fires for a language is not yet
# one that the model speaks it by. So: hold the neurons of each language at zero, and read the loss in every language.

# %%
levels = steering.read_levels(model, search)
chosen = steering.neurons_by_language(found, "auroc")
matrix = steering.ablation_matrix(model, test, chosen, levels)
interp.plot(matrix)

# %% [markdown]
# The diagonal alone proves little: many random neurons of the same activity hurt the language they are most active in
# most, too. What counts is how far the own language is hurt beyond the others, beside the same of random neurons.

# %%
own = matrix.data[["own_minus_others", "own_minus_others_low", "own_minus_others_high", "p_own"]]
own.to_dataframe().round(3)

# %% [markdown]
# ## Where is the language decided?
#
# What the residual stream would say after every block, had the model to answer then.

# %%
vocabulary = neurons.learn_vocabulary(model, search)
interp.plot(lens.language_lens(model, lens.text_material(model, test, vocabulary), control=control))

# %% [markdown]
# ## Neurons that follow a switch
#
# Every sentence is begun in one language and ended in another. The first token of the new language is compared with the
# same token, before the same words, in the sentence that was in that language all along: only the language before
# differs. Half of the sentences are searched, the other half must say the same again.

# %%
switching = neurons.find_switching_neurons(model, read.half(1, most=48), search, n_single=0)
interp.plot(switching.neurons)

# %%
interp.plot(switching.events)

# %% [markdown]
# Following a switch is not causing one. The neurons earn the name only where setting them changes which language the
# next word is expected in, more than setting any of 20 random sets of the same layers and activity does. In this model
# that is close to call: the effect is small, its interval is clear of zero, and some random sets come near it or go
# beyond. Look at the outermost draw, and try other sentences and seeds, before you call a neuron by that name.

# %%
interp.plot(switching.tests)

# %%
len(switching.found), switching.earned

# %% [markdown]
# ## Token by token
#
# A text of your own works, too: words are tagged by a language identifier where nobody has tagged them. Click a neuron.

# %%
texts = ["She came home late and il faisait déjà nuit dans la maison .", "Er sagte leise que no quería volver a casa ."]
shown = neurons.found_neurons(switching.neurons, most=6)
ribbon = neurons.token_ribbon(model, texts, shown, languages=read.languages, random_weights=control)
interp.plot(ribbon)
