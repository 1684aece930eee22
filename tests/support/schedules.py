"""Schedules: what they keep and refuse, also in copies with planted errors, and random mixtures of them."""

from __future__ import annotations

import functools
import inspect
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
    check_new_beginnings(library)
    check_states_that_do_not_fit(library)
    for name, option in (("StepLR", "step_size"), ("LinearLR", "total_iters"), ("CosineAnnealingLR", "T_max")):
        wrong = functools.partial(getattr(library, name), optimizer(), **{option: 0})
        with pytest.raises(ValueError, match=f"{option} must be at least 1"):
            wrong()
    with pytest.raises(TypeError, match="StepLR takes an optimiser"):
        library.StepLR(None, 1)
    with pytest.raises(TypeError, match="takes an optimiser"):
        library.ReduceLROnPlateau(None)
    with pytest.raises(TypeError, match="takes an optimiser"):
        library.OneCycleLR(None, 1.0, 3)
    for wrong in ({"mode": "up"}, {"threshold_mode": "all"}, {"factor": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            library.ReduceLROnPlateau(optimizer(), **wrong)
    with pytest.raises(ValueError, match="another optimiser"):
        library.SequentialLR(optimizer(), [library.StepLR(optimizer(), 1)], [])
    with pytest.raises(ValueError, match="milestone"):
        library.SequentialLR(optimizer(), [], [1])
    one = optimizer()
    with pytest.raises(ValueError, match="does not follow epochs alone"):
        library.SequentialLR(one, [library.ReduceLROnPlateau(one)], [])


def check_new_beginnings(library):
    """`restart`, `last_epoch`, and the last step of a cycle of any length."""
    one = optimizer()
    parts = [library.ExponentialLR(one, 0.5), library.LinearLR(one, 0.5, total_iters=2)]
    for schedule in (library.SequentialLR(one, parts, [2]), library.ReduceLROnPlateau(one, patience=0, cooldown=1)):
        plateau = isinstance(schedule, library.ReduceLROnPlateau)
        found = []
        for again in (False, True):
            if again:
                schedule.restart()
            assert schedule.epoch == 0
            for _ in range(5):
                found.append(one.lr)
                schedule.step(*([1.0] if plateau else []))
            assert schedule.epoch == 5
        assert found[:5] == found[5:] and len({*found}) > 2
        schedule.restart()
    with pytest.raises(ValueError, match="load its state first"):
        library.StepLR(optimizer(), 1, last_epoch=0)
    one.lr = 0.3
    assert library.StepLR(one, 2, 0.5, last_epoch=0).epoch == 1 and one.lr == 0.3
    assert library.StepLR(one, 2, 0.5, last_epoch=1).epoch == 2 and one.lr == 0.15
    later = library.ExponentialLR(one, 0.5, last_epoch=4)
    assert later.epoch == 5 and one.lr == 0.15 and later.base_lrs == [0.1]
    for total, share in ((1, 0.3), (4, 0.25), (4, 1.0), (10, 0.1), (10, 0.3)):
        one = optimizer()
        cycle = library.OneCycleLR(one, 1.0, total, pct_start=share)
        assert (one.lr == 1.0) is (total * share == 1)
        for _ in range(total):
            assert 0 < one.lr <= 1
            cycle.step()
        with pytest.raises(ValueError, match=f"made for {total} steps, but this is step {total + 1}"):
            cycle.step()
        assert cycle.epoch == total
    one.groups[0].update(lr=0.7, initial_lr=0.3)
    assert library.OneCycleLR(one, 1.0, 10, last_epoch=0).base_lrs == [0.3] and one.lr != 0.7
    assert inspect.signature(library.Schedule).parameters["last_epoch"].default == -1
    one = optimizer()
    cosine = library.CosineAnnealingLR(one, 2, eta_min=0.05)
    for _ in range(3):
        cosine.step()
    one.lr = 0.01  # below eta_min, and the difference doubles in the next epoch
    cosine.step()
    assert one.lr == 0.0
    one = optimizer()
    for eps, rate in ((0.05, 0.1), (0.04, 0.05)):
        plateau = library.ReduceLROnPlateau(one, patience=0, factor=0.5, eps=eps)
        plateau.step(1.0)
        plateau.step(1.0)
        assert one.lr == rate
    for mode, metric, rate in (("rel", 4.5, 0.05), ("abs", 4.5, 0.1), ("abs", 4.9, 0.05)):  # the goal is 4 or 4.8
        one = optimizer()
        plateau = library.ReduceLROnPlateau(one, patience=0, factor=0.5, threshold=0.2, threshold_mode=mode)
        plateau.step(5.0)
        plateau.step(metric)
        assert one.lr == rate
    for missing in ({"total_steps": 0}, {"total_steps": -1}):
        with pytest.raises(ValueError, match="at least 1"):
            library.OneCycleLR(optimizer(), 1.0, **missing)
    one = optimizer()
    added = library.ExponentialLR(one, 0.5)
    steep = library.LinearLR(one, 1.0, 0.0, total_iters=1)
    plateau = library.ReduceLROnPlateau(one)
    one.add_param_group({"params": [Tensor(0.0, requires_grad=True)], "lr": 1.0})
    added.step()
    assert added.base_lrs == [0.1, 1.0] and added.get_last_lr() == [0.05, 0.5]
    plateau.restart()
    assert added.get_last_lr() == [0.1, 0.5]
    steep.step()
    assert steep.get_last_lr() == [0.0, 0.0]
    one.lr = 0.3
    steep.step()  # the factor stays 0, so a rate set by hand lasts
    assert steep.get_last_lr() == [0.3, 0.3]


def check_states_that_do_not_fit(library):
    one = optimizer()
    inner = [library.ExponentialLR(one, 0.5), library.ExponentialLR(one, 0.9)]
    for schedule in (library.SequentialLR(one, inner, [1]), library.ReduceLROnPlateau(one)):
        right = schedule.state_dict()
        schedule.load_state_dict({**right, "rates": [0.0], "epoch": 0})
        schedule.load_state_dict({**right, "rates": [1]})
        schedule.load_state_dict(right)
        wrong = [
            ({"rates": [0.1, 0.1]}, "2 rates, but the optimiser has 1 groups"),
            ({"rates": [-1.0]}, r"rates of this state are \[-1.0\]"),
            ({"rates": [float("inf")]}, r"rates of this state are \[inf\]"),
            ({"rates": ["fast"]}, "rates of this state are"),
            ({"rates": 0.1}, "rates of this state are 0.1"),
            ({"epoch": 1.5}, "epoch of this state is 1.5"),
            ({"epoch": -1}, "epoch of this state is -1"),
            ({"speed": 1}, "another kind of schedule"),
        ]
        if "schedulers" in right:
            parts = right["schedulers"]
            wrong += [
                ({"schedulers": parts[:1]}, "another number of schedules than 2"),
                ({"schedulers": parts[0]}, "another number of schedules than 2"),
                ({"schedulers": [{**parts[0], "epoch": 7}, {**parts[1], "epoch": "x"}]}, "epoch of this state is 'x'"),
            ]
        for change, words in wrong:
            with pytest.raises(ValueError, match=words):
                schedule.load_state_dict({**right, **change})
            assert schedule.state_dict() == right
        with pytest.raises(ValueError, match="another kind of schedule"):
            schedule.load_state_dict([*right])


# ---- mixtures: several schedules, plateaus, rates set by hand and loaded states, in any order

KINDS = {
    "StepLR": lambda r: {"step_size": r.randint(1, 3), "gamma": 0.5},
    "MultiStepLR": lambda r: {"milestones": [r.randint(0, 5) for _ in range(3)], "gamma": 0.5},
    "ExponentialLR": lambda r: {"gamma": 0.9},
    "LinearLR": lambda r: {"start_factor": 0.25, "end_factor": r.choice([1.0, 0.1]), "total_iters": r.randint(1, 5)},
    "CosineAnnealingLR": lambda r: {"T_max": r.randint(1, 6), "eta_min": 0.01},
    "OneCycleLR": lambda r: {
        "max_lr": 0.5,
        "total_steps": 30,
        "pct_start": 0.3,
        "cycle_momentum": r.random() < 0.5,
        "three_phase": r.random() < 0.5,
        "anneal_strategy": r.choice(["cos", "linear"]),
    },
    "CyclicLR": lambda r: {
        "base_lr": 0.05,
        "max_lr": 0.4,
        "step_size_up": r.randint(1, 4),
        "step_size_down": r.choice([None, 2]),
        "mode": r.choice(["triangular", "triangular2", "exp_range"]),
        "gamma": 0.9,
        "cycle_momentum": r.random() < 0.5,
    },
    "CosineAnnealingWarmRestarts": lambda r: {"T_0": r.randint(1, 4), "T_mult": r.randint(1, 2), "eta_min": 0.01},
    "ConstantLR": lambda r: {"factor": r.choice([0.25, 1.0]), "total_iters": r.randint(1, 5)},
    "PolynomialLR": lambda r: {"total_iters": r.randint(1, 8), "power": r.choice([1.0, 2.0])},
    "ReduceLROnPlateau": lambda r: {
        "factor": 0.5,
        "patience": r.randint(0, 2),
        "threshold": r.choice([1e-4, 0.2]),
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
    if r.random() < 0.3:
        made.append(["ChainedScheduler", [described(single) for _ in range(r.randint(1, 3))]])
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
        return getattr(library, name)(one, **options)

    def begin():
        one = optim.SGD([{"params": [zero()]}, {"params": [zero()], "lr": 0.3}], lr=0.1)
        schedules = []
        for name, options in descriptions:
            if name == "SequentialLR":
                made = library.SequentialLR(one, [single(one, *part) for part in options[0]], options[1])
            elif name == "ChainedScheduler":
                made = library.ChainedScheduler([single(one, *part) for part in options])
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
            found.append([float(g[name]) for g in one.param_groups for name in ("lr", "momentum")])
    return found
