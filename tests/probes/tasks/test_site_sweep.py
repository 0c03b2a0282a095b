"""One call probes all layers and kinds of site, beside shuffled labels and random weights."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.models import encode, load_model
from interp.models.zoo.texts import read_sentences
from interp.overview import load_controls
from interp.plots import plot
from probes import ProbeTask, probe_sites, probe_task, token_language_task
from probes.tasks.site_sweep import check_kinds

KINDS = ["resid_post", "attn_out"]


@pytest.fixture(scope="module")
def model():
    return load_model("zoo:polyglot")


@pytest.fixture(scope="module")
def task(model) -> ProbeTask:
    texts = {name: rows[:40] for name, rows in read_sentences().items()}
    return token_language_task(texts, lambda text: encode(model, text), samples_per_text=3)


@pytest.fixture(scope="module")
def control():
    return next(iter(load_controls("zoo:polyglot", 1)))


@pytest.fixture(scope="module")
def found(model, control, task):
    return probe_sites(model, control, task, KINDS)


def test_every_cell_agrees_with_a_probe_of_its_layer_alone(found, model, control, task):
    alone = probe_task(model, control, task).data
    ours = found.data.sel(site="resid_post")
    layers = ours["layer"].values
    for name in ("accuracy", "control_random_weights"):
        np.testing.assert_allclose(ours[name], alone[name].sel(layer=layers), atol=0.05)
    assert float(ours["accuracy"].max()) > 0.9 > 0.75 > float(ours["control_random_weights"].max())
    assert float(found.data["control_shuffled"].max()) < 0.4


def test_it_is_drawn_and_says_how_it_was_made(found):
    assert found.data["accuracy"].sizes == {"site": 2, "layer": 4}
    assert found.provenance.call.startswith("probe_sites('language of the text', ['resid_post', 'attn_out']")
    assert "random weights" in plot(found).control


def test_a_control_that_is_the_model_is_refused(model, task):
    with pytest.raises(InputError, match="reads exactly as the model does"):
        probe_sites(model, model, task, ["attn_out"])


@pytest.mark.parametrize("kinds", [[], ["resid_post", "resid_post"], ["pattern"], ["nonsense"]])
def test_kinds_are_checked_first(kinds, task):
    with pytest.raises(InputError, match="each once"):
        check_kinds(kinds)
    with pytest.raises(InputError, match="each once"):
        probe_sites(None, None, task, kinds)
