"""Schedules: PyTorch's rates (extra `oracle`), alone and in any mixture, and what they refuse."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

import nn
from autograd import Tensor
from schedules import mixture, optimizer, rates_of


def leaves():
    return [Tensor(np.ones(3), requires_grad=True)]


SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {"start_factor": 0.25, "total_iters": 4}),
    ("CosineAnnealingLR", {"T_max": 6, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 12}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 12, "three_phase": True, "anneal_strategy": "linear"}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3, "step_size_down": 2, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3, "scale_fn": lambda cycle: 0.5 + cycle}),
    (
        "CyclicLR",
        {
            "base_lr": 0.1,
            "max_lr": 0.5,
            "step_size_up": 2,
            "scale_fn": lambda step: 0.9**step,
            "scale_mode": "iterations",
        },
    ),
    ("CosineAnnealingWarmRestarts", {"T_0": 6}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 4}),
    ("PolynomialLR", {"total_iters": 9, "power": 2.0}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 1 / (1 + epoch)}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 1 - 0.1 * epoch}),
]


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_schedules_are_pytorchs(name, options):
    torch = pytest.importorskip("torch")
    ours = nn.SGD(leaves(), lr=0.1)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    mine = getattr(nn, name)(ours, **options)
    other = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for _ in range(11):
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-9)
        assert ours.groups[0]["momentum"] == pytest.approx(theirs.param_groups[0]["momentum"], rel=1e-9)
        theirs.step()
        mine.step()
        other.step()


def test_schedules_in_sequence_are_pytorchs():
    torch = pytest.importorskip("torch")
    ours, theirs = nn.SGD(leaves(), lr=0.1), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    both = []
    for library, one in ((nn, ours), (torch.optim.lr_scheduler, theirs)):
        parts = [library.LinearLR(one, 0.1, total_iters=3), library.ExponentialLR(one, 0.5)]
        both.append(library.SequentialLR(one, parts, [3]))
    for _ in range(8):
        assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"])
        theirs.step()
        for schedule in both:
            schedule.step()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_plateau_is_pytorchs(mode):
    torch = pytest.importorskip("torch")
    ours, theirs = nn.SGD(leaves(), lr=0.1), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    options = {"mode": mode, "factor": 0.5, "patience": 2, "cooldown": 1, "min_lr": 0.01}
    mine, other = nn.ReduceLROnPlateau(ours, **options), torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for value in [5.0, 4.0, 4.0, 3.99999, 4.0, 4.0, 4.0, 6.0, 7.0, 3.0, 3.0, 3.0, 3.0, 3.0, 8.0, 8.0, 8.0, 8.0, 8.0]:
        mine.step(value)
        other.step(value)
        assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"])


@given(st.integers(0, 2**32))
def test_mixtures_of_schedules_are_pytorchs(seed):
    torch = pytest.importorskip("torch")
    made = mixture(seed)
    theirs = rates_of(torch.optim, torch.optim.lr_scheduler, lambda: torch.zeros(1, requires_grad=True), made)
    assume(np.min(theirs) >= 0)  # PyTorch's cosine turns a rate below eta_min into a negative one
    found = rates_of(nn.optim, nn.optim.lr_scheduler, lambda: leaves()[0], made)
    np.testing.assert_allclose(found, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
@pytest.mark.parametrize("last_epoch", [0, 1, 2, 4])
def test_a_schedule_made_for_a_later_epoch_is_pytorchs(name, options, last_epoch):
    torch = pytest.importorskip("torch")
    found = []
    for library, optim, zero in (
        (nn.optim.lr_scheduler, nn.optim, leaves()[0]),
        (torch.optim.lr_scheduler, torch.optim, torch.zeros(1, requires_grad=True)),
    ):
        one = optim.SGD([{"params": [zero], "initial_lr": 0.4, "lr": 0.2}], lr=0.1)
        if name == "OneCycleLR" and optim is not nn.optim:
            one.param_groups[0].update(initial_lr=0.02, max_lr=0.5, min_lr=0.02 / 1e4)
            one.param_groups[0].update(max_momentum=0.95, base_momentum=0.85)
        schedule = getattr(library, name)(one, **options, last_epoch=last_epoch)
        rates = [one.param_groups[0]["lr"]]
        for _ in range(5):
            if optim is not nn.optim:
                one.step()
            schedule.step()
            rates.append(one.param_groups[0]["lr"])
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-9)


EVERY = [*SCHEDULES, ("ReduceLROnPlateau", {"patience": 0})]


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_a_schedule_begins_anew(name, options):
    one = optimizer()
    schedule = getattr(nn, name)(one, **options)

    def epochs():
        found = []
        for _ in range(6):
            found.append(one.lr)
            schedule.step(*([1.0] if name == "ReduceLROnPlateau" else []))
        return found

    first = epochs()
    one.lr = 7.0
    schedule.restart()
    assert epochs() == first and len({*first}) > 1


def test_a_group_that_is_added_takes_part():
    one = optimizer()
    schedules = [nn.ExponentialLR(one, 0.5), nn.CosineAnnealingLR(one, 8)]
    plateau = nn.ReduceLROnPlateau(one, patience=0)
    one.add_param_group({"params": leaves(), "lr": 1.0})
    for schedule in schedules:
        schedule.step()
    assert schedules[0].base_lrs == [0.1, 1.0] and one.groups[1]["lr"] == pytest.approx(10 * one.lr)
    plateau.step(1.0)
    plateau.step(1.0)
    assert one.groups[1]["lr"] == pytest.approx(10 * one.lr)


@pytest.mark.parametrize("total", range(1, 12))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.25, 0.5, 1.0])
def test_one_cycle_of_any_length_has_all_its_steps(total, share):
    one = optimizer()
    schedule = nn.OneCycleLR(one, 1.0, total, pct_start=share)
    for _ in range(total):
        assert 0 < one.lr <= 1.0 + 1e-12
        schedule.step()
    with pytest.raises(ValueError, match=f"made for {total} steps, but this is step {total + 1}"):
        schedule.step()
    assert schedule.epoch == total
