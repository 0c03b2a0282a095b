import pytest
import torch

from interp.models import encode
from interp.prompts import TokenBatch
from interp.run import forward
from interp.run.hooks import hooked


def hooks_on(model):
    return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in set(model.hook_dict.values()))


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, ArithmeticError])
def test_an_error_at_every_hook_of_the_model_leaves_no_hook_and_the_same_logits(family, family_model, error):
    model = family_model(family)
    batch = TokenBatch.of([encode(model, "The cat sat on the mat")])
    before, hooks_before, raised, refusals = forward(model, batch), hooks_on(model), 0, []

    def fail(_):
        raise error

    for name in model.hook_dict:
        try:
            with hooked(model, {name: fail}):
                forward(model, batch)
        except error:
            raised += 1
        except ValueError as refused:
            refusals.append(str(refused))
        assert hooks_on(model) == hooks_before, name
        assert torch.equal(forward(model, batch), before), name
    assert raised > 100
    # TransformerLens itself refuses the hooks that are switched off, and says how to switch them on.
    assert all("set_use" in refused for refused in refusals)
