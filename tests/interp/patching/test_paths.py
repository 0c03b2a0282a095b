import itertools
from functools import partial

import numpy as np
import pytest
import torch

from interp.errors import InputError, ModelError, SiteError
from interp.metrics import METRICS
from interp.metrics.metric import reading
from interp.models.compiled import compiled_prompts
from interp.patching.paths import direct, direct_paths, path_patch
from interp.prompts import PromptSet
from interp.sites import Site
from tests.interp.patching.cases import FAMILIES, inserted, pair_of, prompts_of

SENDERS = (Site(0, "z", head=1), Site(0, "mlp_out"), Site(0, "resid_pre"))
QUICK = ("gpt2", "llama", "gemma2", "gpt_neox")
DECODERS = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES]
WRITTEN = {"mlp": "mlp_out", "logits": "resid_post"}
LOGITS = Site(2, "resid_post")
EVERYTHING = [Site(0, "resid_pre"), *(Site(layer, kind) for layer in range(3) for kind in ("z", "mlp_out"))]


def plus(change):
    def hook_function(act, hook):
        return act + change

    return hook_function


def keep(kept, name):
    def hook_function(act, hook):
        kept[name] = act.clone()

    return hook_function


class Hooks:
    """Paths with nothing but TransformerLens's hooks: the model itself computes what a receiver makes of its input."""

    def __init__(self, model, prompts):
        self.model, self.prompts = model, prompts
        self.base = torch.from_numpy(prompts.batch("corrupted").tokens)
        with torch.no_grad():
            _, self.clean = model.run_with_cache(torch.from_numpy(prompts.batch("clean").tokens))
            _, self.corrupted = model.run_with_cache(self.base)
        self.parallel = "NeoX" in model.cfg.architecture

    def run(self, hooks):
        with torch.no_grad():
            logits = self.model.run_with_hooks(self.base, fwd_hooks=hooks)
        return METRICS["logit_diff"](reading(logits, self.prompts, "corrupted")).numpy()

    def adding(self, name, change, then):
        """What `then` holds in a run with `change` added at `name`."""
        kept = {}
        self.run([(name, plus(change)), (then, keep(kept, "act"))])
        return kept["act"]

    def change(self, sender):
        """What the sender writes in the clean run less what it writes here."""
        if sender.kind != "z":
            return self.clean[sender.hook_name] - self.corrupted[sender.hook_name]
        new = self.corrupted[sender.hook_name].clone()
        new[:, :, sender.head] = self.clean[sender.hook_name][:, :, sender.head]
        out = Site(sender.layer, "attn_out").hook_name
        return self.adding(sender.hook_name, new - self.corrupted[sender.hook_name], out) - self.corrupted[out]

    def told(self, sender, receiver, layer, head=None):
        """The metric when one receiver alone is told."""
        site = Site(layer, WRITTEN.get(receiver, receiver))
        if receiver == "logits":
            return self.run([(site.hook_name, plus(self.change(sender)))])
        read = "resid_mid" if receiver == "mlp" and not self.parallel else "resid_pre"
        new = self.adding(Site(layer, read).hook_name, self.change(sender), site.hook_name)

        def put(act, hook):
            act = act.clone()
            act[site.index if head is None else (..., head, slice(None))] = new if head is None else new[:, :, head]
            return act

        return self.run([(site.hook_name, put)])

    def hold(self, kept, whole, senders, through_mlps):
        """Note what a part of the model writes, and put in its place what it writes in one of the runs."""
        name, mine = whole.hook_name, [site for site in senders if site.whole == whole]

        def hook_function(act, hook):
            kept[name] = act.clone()
            held = (
                act.clone() if whole.kind == "mlp_out" and through_mlps and not mine else self.corrupted[name].clone()
            )
            for site in mine:
                held[site.index] = self.clean[name][site.index]
            return held

        return hook_function

    def paths(self, senders, receivers, *, through_mlps):
        """The two runs of path patching."""
        kept = {}
        hooks = [
            (Site(layer, kind).hook_name, self.hold(kept, Site(layer, kind), senders, through_mlps))
            for layer in range(3)
            for kind in ("z", "mlp_out")
        ]
        first = Site(0, "resid_pre")
        if first in senders:
            hooks.append((first.hook_name, plus(self.change(first))))
        self.run(hooks + [(s.hook_name, keep(kept, s.hook_name)) for s in receivers if s.kind != "mlp_out"])

        def put(act, hook, site=None):
            act = act.clone()
            act[site.index] = kept[site.hook_name][site.index]
            return act

        return self.run([(site.hook_name, partial(put, site=site)) for site in receivers])


@pytest.fixture(params=DECODERS)
def decoder(request, double_model):
    return double_model(request.param)


@pytest.mark.parametrize(
    "sender", [SENDERS[0], *(pytest.param(s, marks=pytest.mark.slow) for s in SENDERS[1:])], ids=str
)
def test_direct_paths_equal_plain_hooks(decoder, sender):
    prompts = prompts_of(6, 6)
    oracle, changed = Hooks(decoder, prompts), 0
    for receiver in ("q", "k", "v", "mlp", "logits"):
        found = direct_paths(decoder, prompts, sender, receiver, control=False).data
        layers = [2] if receiver == "logits" else found["layer"].values.tolist()
        heads = found["head"].values.tolist() if "head" in found.dims else [None]
        for (number, layer), head in itertools.product(enumerate(layers), heads):
            ours = found["values"].values.reshape(2, len(layers), len(heads))[:, number, heads.index(head)]
            theirs = oracle.told(sender, receiver, layer, head)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12, err_msg=f"{receiver} of {layer}, {head}")
        changed += float(abs(found["effect"]).max()) > 1e-4
        assert receiver == "logits" or layers == list(range(layers[0], 3))
    assert changed >= 4, "paths must have effects, or this proves nothing"


@pytest.mark.parametrize(("family", "receiver"), [("gpt2", "q"), ("gpt2", "k"), ("gpt2", "v"), ("llama", "q")])
def test_direct_paths_equal_transformer_lens(double_model, family, receiver):
    from transformer_lens import patching

    model, prompts = double_model(family), prompts_of(8, 8)
    oracle = Hooks(model, prompts)

    def metric(logits):
        return METRICS["logit_diff"](reading(logits, prompts, "corrupted")).mean()

    torch.set_default_dtype(torch.float64)  # TransformerLens keeps its numbers in the default dtype
    try:
        theirs = patching.get_act_patch_direct_path(
            model, oracle.base, oracle.clean, oracle.corrupted, metric, 0, 1, receiver, verbose=False
        )
    finally:
        torch.set_default_dtype(torch.float32)
    ours = direct_paths(model, prompts, SENDERS[0], receiver).data["values"].mean("prompt")
    np.testing.assert_allclose(ours.values, theirs[1:].numpy(), rtol=0, atol=1e-10)
    assert ours["layer"].values.tolist() == [1, 2]


@pytest.mark.parametrize("through_mlps", [True, False])
def test_path_patching_equals_plain_hooks(decoder, through_mlps):
    prompts = prompts_of(7, 7)
    oracle = Hooks(decoder, prompts)
    for senders, receivers in [
        ([Site(0, "z", head=1), Site(0, "z", head=2, pos=3)], [Site(2, "q", head=0), Site(2, "k"), Site(1, "v")]),
        ([Site(0, "mlp_out"), Site(1, "z")], [Site(1, "mlp_out"), Site(2, "mlp_out", pos=6), Site(2, "v", head=1)]),
        ([Site(0, "resid_pre"), Site(1, "mlp_out"), Site(2, "z", head=3)], [LOGITS]),
    ]:
        ours = path_patch(decoder, prompts, senders, receivers, through_mlps=through_mlps).data
        theirs = oracle.paths(senders, receivers, through_mlps=through_mlps)
        np.testing.assert_allclose(ours["values"][:, 0].values, theirs, rtol=0, atol=1e-12)
        assert abs(ours["effect"][0]) > 1e-5


def test_an_mlp_passes_on_what_it_hears_only_if_asked(double_model):
    model, prompts = double_model("gpt2"), prompts_of(7, 7)
    direct_, through = (
        path_patch(model, prompts, [SENDERS[0]], [LOGITS], through_mlps=passes).data["effect"].item()
        for passes in (False, True)
    )
    assert abs(direct_ - through) > 1e-3


@pytest.mark.parametrize("family", ["gemma2", "gpt_neox"])
def test_everything_sends_to_the_logits_what_the_other_run_says(double_model, family):
    prompts = prompts_of(7, 7)
    found = path_patch(double_model(family), prompts, EVERYTHING, [LOGITS], through_mlps=False).data
    assert found["recovered"].item() == pytest.approx(1, abs=1e-10)
    assert abs(found["control"].item() - found["effect"].item()) > 1e-3


def test_no_senders_and_senders_that_agree_tell_nothing(double_model):
    model, prompts = double_model("llama"), prompts_of(7, 7, first=3)
    assert path_patch(model, prompts, [], [LOGITS], through_mlps=True).data["effect"].item() == 0
    before = [Site(0, "z", pos=1), Site(1, "mlp_out", pos=2)]
    found = path_patch(model, prompts, before, [Site(2, "q"), Site(2, "v")], through_mlps=True).data
    assert found["effect"].item() == pytest.approx(0, abs=1e-12)
    alike = direct_paths(model, prompts, Site(0, "z", head=1, pos=1), "q").data
    assert (alike["effect"] == 0).all()
    assert (alike["state"] == 1).all()


def test_one_edge_is_a_set_of_one_sender_and_one_receiver(decoder):
    prompts = prompts_of(7, 7)
    for sender, receiver in itertools.product(
        SENDERS, (Site(2, "q", head=3), Site(2, "v", head=1), Site(2, "mlp_out"))
    ):
        kind = "mlp" if receiver.kind == "mlp_out" else receiver.kind
        edge = direct_paths(decoder, prompts, sender, kind, control=False).data["values"].sel(layer=2)
        edge = edge if receiver.head is None else edge.sel(head=receiver.head)
        sets = path_patch(decoder, prompts, [sender], [receiver], through_mlps=False, control=False).data["values"]
        np.testing.assert_allclose(sets[:, 0].values, edge.values, rtol=0, atol=1e-12)


def test_the_compiled_circuit_has_the_edge_it_was_given(double_model):
    model, prompts = double_model("compiled:induction"), compiled_prompts("induction", 3, 3)
    found = {kind: direct_paths(model, prompts, Site(0, "z", head=0), kind, seed=1).data for kind in ("q", "k", "v")}
    largest = max(found, key=lambda kind: float(abs(found[kind]["effect"]).max()))
    assert largest == "k", "the induction head's keys read the previous head"
    effect = found["k"]["effect"].values
    assert np.count_nonzero(np.abs(effect) > 0.1 * np.abs(effect).max()) == 1
    assert (abs(found["k"]["control"]) < abs(effect).max()).all()


def test_noising_exchanges_the_runs_and_positions_follow_the_alignment(double_model):
    model, rng = double_model("llama"), np.random.default_rng(1)
    prompts = PromptSet.of([inserted(rng, pair_of(rng, length=8)) for _ in range(3)] + list(prompts_of(6, 6)))
    for sender, receiver in (
        (Site(0, "z", head=1), Site(2, "v", head=1)),
        (Site(0, "mlp_out", pos=3), Site(1, "k", head=0)),
    ):
        found = direct_paths(model, prompts, sender, receiver.kind, direction="noising", control=False).data
        sets = path_patch(model, prompts, [sender], [receiver], through_mlps=False, direction="noising").data
        edge = found["values"].sel(layer=receiver.layer, head=receiver.head)
        np.testing.assert_allclose(edge.values, sets["values"][:, 0].values, rtol=0, atol=1e-12)
        assert float(abs(found["effect"]).max()) > 1e-4


def test_results_say_what_they_are(double_model, tmp_path):
    found = direct_paths(double_model("gpt2"), prompts_of(7, 7), SENDERS[0], "logits")
    assert found.has_control
    assert type(found).load(found.save(tmp_path / "a.safetensors")).data["receiver"].values.tolist() == ["logits"]
    assert found.notes["sender"] == "L0H1 z"
    one = path_patch(double_model("gpt2"), prompts_of(7, 7), [SENDERS[0]], [LOGITS], through_mlps=True)
    assert one.data["path"].item() == "L0H1 z -> L2 resid_post"


@pytest.mark.parametrize(
    ("sender", "receiver", "says"),
    [
        (Site(0, "q", head=1), "q", "cannot send"),
        (Site(1, "resid_pre"), "q", "cannot send"),
        (Site(2, "z", head=1), "q", "No 'q' comes after"),
        (Site(0, "z", head=9), "q", "no such head"),
        (Site(5, "z", head=0), "q", "no layer 5"),
    ],
)
def test_paths_that_do_not_exist_are_refused(double_model, sender, receiver, says):
    with pytest.raises(SiteError, match=says):
        direct_paths(double_model("gpt2"), prompts_of(7, 7), sender, receiver)


def test_bad_sets_are_refused(double_model, family_model):
    model, prompts = double_model("gpt2"), prompts_of(7, 7)
    for senders, receivers, error, says in [
        ([SENDERS[0]], [], InputError, "no receivers"),
        ([SENDERS[0]], [Site(1, "z", head=0)], SiteError, "cannot receive"),
        ([SENDERS[0]], [Site(1, "resid_post")], SiteError, "cannot receive"),
        ([Site(1, "mlp_out")], [Site(1, "mlp_out")], InputError, "senders and receivers"),
        ([SENDERS[0]], [LOGITS, Site(2, "q")], InputError, "would hide"),
    ]:
        with pytest.raises(error, match=says):
            path_patch(model, prompts, senders, receivers, through_mlps=True)
    with pytest.raises(InputError, match="No receiver kind"):
        direct_paths(model, prompts, SENDERS[0], "z")
    with pytest.raises(SiteError, match="MixtralForCausalLM cannot be taken apart"):
        direct_paths(family_model("mixtral"), prompts, SENDERS[0], "q")


def test_a_wrong_receiver_makes_the_check_refuse(family_directory, monkeypatch):
    from interp.models import load_model

    model, right = load_model(str(family_directory("gpt2")), dtype="float64"), direct.received
    new = direct.DirectPaths.score
    monkeypatch.setattr(direct.DirectPaths, "score", lambda self, rows, *rest: new(self, rows * 1.001, *rest))
    with pytest.raises(ModelError, match="disagrees"):
        direct_paths(model, prompts_of(7, 7), SENDERS[0], "q")
    assert direct.received is right
