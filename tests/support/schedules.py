"""What schedules keep and refuse, for this library's and for copies of it with planted errors."""

from __future__ import annotations

import functools
import json

import pytest

import nn
from autograd import Tensor


def optimizer():
    return nn.SGD([Tensor(0.0, requires_grad=True)], lr=0.1)


def check_what_schedules_keep_and_refuse(library):
    class Bent(library.Schedule):
        def __init__(self, made, bend):
            self.bend = bend
            super().__init__(made)

        def factor(self, epoch):
            return self.bend(epoch)

    def made(gamma):
        one = optimizer()
        parts = [library.ExponentialLR(one, gamma), Bent(one, lambda epoch: 1 + epoch)]
        return library.SequentialLR(one, parts, [3])

    before, after = made(0.5), made(0.25)
    before.step()
    before.step()
    state = json.loads(json.dumps(before.state_dict()))  # neither the optimiser nor a function is in it
    after.load_state_dict(state)
    after.set()
    assert after.epoch == 2 and after.get_last_lr() == [0.1 * 0.5**2]
    after.step()
    after.step()
    assert after.get_last_lr() == [0.2]
    assert set(Bent(optimizer(), abs).state_dict()) == {"epoch", "base_lrs"}
    with pytest.raises(ValueError, match="from another kind"):
        library.StepLR(optimizer(), 1).load_state_dict(state)
    for name, option in (("StepLR", "step_size"), ("LinearLR", "total_iters"), ("CosineAnnealingLR", "T_max")):
        wrong = functools.partial(getattr(library, name), optimizer(), **{option: 0})
        with pytest.raises(ValueError, match=f"{option} must be at least 1"):
            wrong()
    with pytest.raises(TypeError, match="StepLR takes an optimiser"):
        library.StepLR(None, 1)
    with pytest.raises(TypeError, match="takes an optimiser"):
        library.ReduceLROnPlateau(None)
