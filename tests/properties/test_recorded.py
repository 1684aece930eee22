"""Optimisers and schedules compared with recorded results of PyTorch."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest

import nn
from autograd import Tensor
from recorded import (
    COMPLEX_OPTIMISERS,
    COMPLEX_START,
    FILE,
    METRICS,
    MIXTURES,
    OPTIMISERS,
    PLATEAUS,
    SCHEDULES,
    rates,
    record,
    start_of,
    trajectory,
)
from schedule_options import check_options
from schedules import check_what_schedules_keep_and_refuse, mixture, optimizer, rates_of

RECORDED = json.loads(FILE.read_text())


def near(a, b):
    if np.ndim(a[0]):  # rows of several lengths
        assert [len(row) for row in a] == [len(row) for row in b]
        a, b = (np.concatenate(rows) for rows in (a, b))
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("i", range(len(OPTIMISERS)), ids=lambda i: f"{OPTIMISERS[i][0]}-{i}")
def test_optimisers_go_pytorchs_way(i):
    params = [Tensor(np.array(x), requires_grad=True) for x in start_of(OPTIMISERS[i][0])]
    near(trajectory(nn, params, *OPTIMISERS[i]), RECORDED["optimisers"][i])


@pytest.mark.parametrize("i", range(len(COMPLEX_OPTIMISERS)), ids=lambda i: f"{COMPLEX_OPTIMISERS[i][0]}-{i}")
def test_complex_weights_go_pytorchs_way(i):
    params = [Tensor(np.array(x), requires_grad=True) for x in COMPLEX_START]
    near(trajectory(nn, params, *COMPLEX_OPTIMISERS[i]), RECORDED["complex"][i])


@pytest.mark.parametrize("i", range(len(SCHEDULES)), ids=lambda i: f"{SCHEDULES[i][0]}-{i}")
def test_schedules_have_pytorchs_rates(i):
    name, options = SCHEDULES[i]
    made = optimizer()
    near(rates(made, getattr(nn, name)(made, **options), made.groups), RECORDED["schedules"][i])


@pytest.mark.parametrize("i", range(len(PLATEAUS)))
def test_plateaus_are_left_when_pytorch_leaves_them(i):
    made = optimizer()
    near(rates(made, nn.ReduceLROnPlateau(made, **PLATEAUS[i]), made.groups, METRICS), RECORDED["plateaus"][i])


@pytest.mark.parametrize("seed", range(MIXTURES))
def test_schedules_plateaus_rates_by_hand_and_loaded_states_compose_as_in_pytorch(seed):
    found = rates_of(nn.optim, nn.optim.lr_scheduler, lambda: Tensor(0.0, requires_grad=True), mixture(seed))
    near(found, RECORDED["mixtures"][seed])


@pytest.mark.parametrize("name", RECORDED["defaults"])
def test_defaults_are_pytorchs(name):
    arguments = inspect.signature(getattr(nn, name)).parameters.values()
    mine = {a.name: a.default for a in arguments if a.default is not a.empty}
    theirs = {key: tuple(v) if isinstance(v, list) else v for key, v in RECORDED["defaults"][name].items()}
    assert mine == {key: theirs.get(key, mine[key]) for key in mine}


def test_three_schedules_one_after_the_other():
    made = optimizer()
    parts = [nn.ExponentialLR(made, 0.5), nn.StepLR(made, 2, 0.1), nn.LinearLR(made, 0.5, total_iters=2)]
    found = rates(made, nn.SequentialLR(made, parts, [2, 5]), made.groups)[:18:2]
    near(found, [0.1, 0.05, 0.1, 0.1, 0.01, 0.05, 0.075, 0.1, 0.1])


def test_one_schedule_after_the_other():
    made = optimizer()
    parts = [nn.LinearLR(made, 0.1, total_iters=3), nn.ExponentialLR(made, 0.5)]
    near(rates(made, nn.SequentialLR(made, parts, [3]), made.groups)[:12:2], [0.01, 0.04, 0.07, 0.1, 0.05, 0.025])


def test_the_record_is_pytorchs():
    pytest.importorskip("torch")
    again = record()
    for key in ("optimisers", "complex", "schedules", "plateaus", "mixtures"):
        for a, b in zip(again[key], RECORDED[key], strict=True):
            near(a, b)


def test_a_bare_optimizer_and_a_bare_schedule_say_what_is_missing():
    params = [Tensor(1.0, requires_grad=True), Tensor(1.0, requires_grad=True)]
    params[0].grad = Tensor(1.0)
    with pytest.raises(TypeError, match=r"Optimizer has no update\(\)"):
        nn.optim.Optimizer(params, lr=0.1).step()
    with pytest.raises(TypeError, match=r"Schedule has no factor\(\)"):
        nn.optim.lr_scheduler.Schedule(optimizer())
    nn.clip_grad_value_(params, 0.25)  # a parameter without a gradient is skipped
    assert params[0].grad.item() == 0.25 and params[1].grad is None


def test_what_schedules_keep_and_refuse():
    check_what_schedules_keep_and_refuse(nn.optim.lr_scheduler)
    check_options(nn.optim.lr_scheduler)
