"""Schedules: what they keep and refuse, also in copies with planted errors, and random mixtures of them."""

from __future__ import annotations

import functools
import json
import random
import warnings

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
    after.load_state_dict(state)  # the rates in use too, in an optimiser whose own state was not loaded
    assert after.epoch == after.last_epoch == 2 and after.get_last_lr() == [0.1 * 0.5**2]
    after.step()
    after.step()
    assert after.get_last_lr() == [0.2]
    assert set(Bent(optimizer(), abs).state_dict()) == {"epoch", "base_lrs", "rates"}
    rising = Bent(optimizer(), lambda epoch: epoch * 10)  # from 0, where the factor has no ratio
    rising.step()
    assert rising.get_last_lr() == [1.0]
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


# ---- mixtures: several schedules, plateaus, rates set by hand and loaded states, in any order

KINDS = {
    "StepLR": lambda r: {"step_size": r.randint(1, 3), "gamma": 0.5},
    "MultiStepLR": lambda r: {"milestones": [r.randint(0, 5) for _ in range(3)], "gamma": 0.5},
    "ExponentialLR": lambda r: {"gamma": 0.9},
    "LinearLR": lambda r: {"start_factor": 0.25, "end_factor": r.choice([1.0, 0.1]), "total_iters": r.randint(1, 5)},
    "CosineAnnealingLR": lambda r: {"T_max": r.randint(1, 6), "eta_min": 0.01},
    "OneCycleLR": lambda r: {"max_lr": 0.5, "total_steps": 30, "pct_start": 0.3},
    "ReduceLROnPlateau": lambda r: {
        "factor": 0.5,
        "patience": r.randint(0, 2),
        "mode": r.choice(["min", "max"]),
        "threshold_mode": r.choice(["rel", "abs"]),
        "cooldown": r.randint(0, 1),
        "min_lr": r.choice([0.0, 0.02]),
    },
}


def mixture(seed):
    """Descriptions of the schedules, and what is done with them."""
    r = random.Random(seed)
    single = [name for name in KINDS if name != "ReduceLROnPlateau"]

    def described(names):
        name = r.choice([*names])
        return [name, KINDS[name](r)]

    made = [described(KINDS) for _ in range(r.randint(1, 3))]
    if r.random() < 0.4:
        parts = [described(single) for _ in range(r.randint(2, 3))]
        milestones = sorted(r.randint(0, 6) for _ in parts[1:])
        made.append(["SequentialLR", [parts, milestones]])
    does = []
    for _ in range(15):
        what = r.choice(["epoch", "epoch", "epoch", "one", "by hand", "loaded", "loaded last"])
        does.append([what, r.randrange(len(made)), r.randrange(2), round(r.uniform(0.02, 1.0), 3)])
    return made, does


def rates_of(optim, library, zero, mixture):
    """The rates of both groups after everything that is done; `zero()` is a parameter."""
    descriptions, does = mixture
    found = []

    def single(one, name, options):
        extra = {"cycle_momentum": False} if optim.__name__.startswith("torch") and name == "OneCycleLR" else {}
        return getattr(library, name)(one, **options, **extra)

    def begin():
        one = optim.SGD([{"params": [zero()]}, {"params": [zero()], "lr": 0.3}], lr=0.1)
        schedules = []
        for name, options in descriptions:
            if name == "SequentialLR":
                made = library.SequentialLR(one, [single(one, *part) for part in options[0]], options[1])
            else:
                made = single(one, name, options)
            schedules.append(made)
        return one, schedules

    def step(schedule, metric):
        schedule.step(*([metric] if isinstance(schedule, library.ReduceLROnPlateau) else []))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing moves, and PyTorch wants a step first
        one, schedules = begin()
        for what, i, group, number in does:
            one.step()
            if what == "epoch":
                for schedule in schedules:
                    step(schedule, number)
            elif what == "one":
                step(schedules[i], number)
            elif what == "by hand":
                one.param_groups[group]["lr"] = number
            else:
                before, one, kept = one, None, [schedule.state_dict() for schedule in schedules]
                one, schedules = begin()
                if what == "loaded":
                    one.load_state_dict(before.state_dict())
                for schedule, state in zip(schedules, kept, strict=True):
                    schedule.load_state_dict(state)
                if what == "loaded last":
                    one.load_state_dict(before.state_dict())
            found.append([float(g["lr"]) for g in one.param_groups])
    return found
