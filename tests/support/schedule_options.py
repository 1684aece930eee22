"""Options of schedules that no recorded rates show: functions, lists with an item per group, chains and momenta."""

from __future__ import annotations

import functools
import json

import pytest

import nn
from autograd import Tensor
from schedules import optimizer


def of_groups(kind=nn.SGD, **options):
    """An optimiser of two groups."""
    groups = [{"params": [Tensor(0.0, requires_grad=True)], "lr": rate} for rate in (0.1, 0.4)]
    return kind(groups, **options)


def rates(one, schedule, steps):
    """The rates of both groups, before each step and after the last."""
    found = [[group["lr"] for group in one.groups]]
    for _ in range(steps):
        schedule.step()
        found.append([group["lr"] for group in one.groups])
    return found


def approx(found):
    return [pytest.approx(row) for row in found]


def check_options(library):
    check_functions(library)
    check_chains(library)
    check_groups(library)
    check_momenta(library)
    check_refused_options(library)


def check_functions(library):
    one = of_groups()
    schedule = library.LambdaLR(one, [lambda epoch: 1 / (1 + epoch), lambda epoch: 0.5**epoch])
    assert rates(one, schedule, 2) == approx([[0.1, 0.4], [0.05, 0.2], [0.1 / 3, 0.1]])
    assert json.loads(json.dumps(schedule.state_dict())) == schedule.state_dict() and len(schedule.state_dict()) == 3
    later = library.LambdaLR(one, lambda epoch: 1 / (1 + epoch), last_epoch=3)
    assert later.epoch == 4 and later.get_last_lr() == pytest.approx([0.02, 0.08])
    later.restart()
    assert later.epoch == 0 and later.get_last_lr() == [0.1, 0.4]
    one = of_groups()
    schedule = library.MultiplicativeLR(one, [lambda epoch: 0.5, lambda epoch: 1 / epoch])
    assert rates(one, schedule, 2) == approx([[0.1, 0.4], [0.05, 0.4], [0.025, 0.2]])
    assert library.MultiplicativeLR(one, lambda epoch: 0.5, last_epoch=3).get_last_lr() == pytest.approx([0.025, 0.2])
    schedule.restart()
    assert schedule.get_last_lr() == [0.1, 0.4]
    one = optimizer()
    cycle = library.CyclicLR(one, 0.1, 0.5, 2, scale_fn=lambda cycle: 1 / cycle, cycle_momentum=False)
    assert rates(one, cycle, 6)[1::2] == approx([[0.3], [0.3], [0.2]])
    steps = library.CyclicLR(one, 0.1, 0.5, 2, scale_fn=lambda t: 1 / t if t else 1.0, scale_mode="iterations")
    assert rates(one, steps, 3)[1::2] == approx([[0.3], [0.1 + 0.2 / 3]])
    one = optimizer()
    restarts = library.CosineAnnealingWarmRestarts(one, 4)
    restarts.step(2)
    assert one.lr == pytest.approx(0.05) and restarts.epoch == 2
    restarts.step(4.0)
    assert one.lr == pytest.approx(0.1) and restarts.epoch == 4
    restarts.step(5.5)
    halfway = one.lr
    restarts.step(1.5)
    assert one.lr == pytest.approx(halfway) and restarts.epoch == 1
    restarts.step()
    assert one.lr == pytest.approx(0.05)
    restarts.step(0)
    assert one.lr == pytest.approx(0.1)
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="epoch must be at least 0"):
            restarts.step(wrong)


def check_chains(library):
    one = of_groups()
    parts = [library.ConstantLR(one, 0.5, 2), library.ExponentialLR(one, 0.9)]
    chain = library.ChainedScheduler(parts)
    assert (chain.epoch, chain.base_lrs, chain.optimizer) == (0, [0.1, 0.4], one)
    expected = [[0.05, 0.2], [0.045, 0.18], [0.081, 0.324]]
    assert rates(one, chain, 2) == approx(expected) and chain.epoch == 2
    kept = json.loads(json.dumps(chain.state_dict()))
    chain.restart()
    assert chain.epoch == parts[0].epoch == 0 and rates(one, chain, 2) == approx(expected)
    again = of_groups()
    other = library.ChainedScheduler(
        [library.ConstantLR(again, 0.5, 2), library.ExponentialLR(again, 0.9)], optimizer=again
    )
    other.load_state_dict(kept)
    assert other.epoch == 2 and rates(again, other, 1)[1] == approx([[0.0729, 0.2916]])[0]
    later = library.ChainedScheduler([library.ExponentialLR(one, 0.9, last_epoch=3)])
    assert later.epoch == 4
    with pytest.raises(ValueError, match="at least one schedule"):
        library.ChainedScheduler([])
    with pytest.raises(ValueError, match="number 1, ExponentialLR, is of another optimiser"):
        library.ChainedScheduler([*parts[:1], library.ExponentialLR(again, 0.9)])
    with pytest.raises(ValueError, match="number 0, ExponentialLR, is of another optimiser"):
        library.ChainedScheduler([library.ExponentialLR(again, 0.9)], one)
    with pytest.raises(ValueError, match="does not follow epochs alone"):
        library.ChainedScheduler([library.ReduceLROnPlateau(one)])
    with pytest.raises(TypeError, match="ChainedScheduler takes an optimiser"):
        library.ChainedScheduler([None])
    one = optimizer()
    library.SequentialLR(one, [library.ConstantLR(one, 0.5), library.ConstantLR(one, 0.25)], [1])
    assert one.lr == 0.05
    for factor in (0.0, 1.0):
        one = optimizer()
        assert rates(one, library.ConstantLR(one, factor, 1), 2) == [[0.1 * factor], [0.1], [0.1]]


def check_groups(library):
    one = of_groups()
    cycle = library.CyclicLR(one, [0.1, 0.2], [0.3, 0.6], 2, base_momentum=[0.1, 0.2], max_momentum=[0.5, 0.8])
    one.add_param_group({"params": [Tensor(0.0, requires_grad=True)], "lr": 1.0})
    assert rates(one, cycle, 2)[1:] == approx([[0.2, 0.4, 0.4], [0.3, 0.6, 0.6]])
    assert [group["momentum"] for group in one.groups] == pytest.approx([0.1, 0.2, 0.2])
    cycle.restart()
    assert one.groups[0]["momentum"] == 0.5 and cycle.base_lrs == [0.1, 0.2, 1.0]
    one = of_groups()
    once = library.OneCycleLR(one, [1.0, 2.0], epochs=2, steps_per_epoch=5, base_momentum=[0.1, 0.2])
    assert once.total_steps == 10 and once.get_last_lr() == approx([[0.04, 0.08]])[0]
    assert once.base_lrs == approx([[0.04, 0.08]])[0]
    assert rates(one, once, 2)[2] == approx([[1.0, 2.0]])[0]
    assert [group["momentum"] for group in one.groups] == pytest.approx([0.1, 0.2])
    one = of_groups()
    plateau = library.ReduceLROnPlateau(one, patience=0, min_lr=[0.05, 0.3])
    for _ in range(3):
        plateau.step(1.0)
    assert plateau.get_last_lr() == [0.05, 0.3]


def check_momenta(library):
    one = of_groups(nn.Adam, betas=(0.9, 0.99))
    once = library.OneCycleLR(one, 1.0, 10)
    assert one.groups[0]["betas"] == (0.95, 0.99)
    once.step()
    assert one.groups[0]["betas"] == (pytest.approx(0.9), 0.99)
    for group in one.groups:
        group["betas"] = (0.3, 0.99)
    state = json.loads(json.dumps(once.state_dict()))
    assert state["momenta"] == [0.3, 0.3]
    again = of_groups(nn.Adam)
    other = library.OneCycleLR(again, 1.0, 10)
    other.load_state_dict(state)
    assert again.groups[1]["betas"] == (0.3, 0.999)
    assert library.OneCycleLR(one, 1.0, 10, cycle_momentum=False).state_dict()["momenta"] == []
    assert one.groups[0]["betas"] == (0.3, 0.99)
    slow = of_groups(momentum=0.3)
    state = library.CyclicLR(slow, 0.1, 0.5, 2).state_dict()
    assert state["momenta"] == [0.9, 0.9]
    library.CyclicLR(slow, 0.1, 0.5, 2, cycle_momentum=False)
    assert slow.groups[0]["momentum"] == 0.9
    for name, arguments in (("OneCycleLR", (1.0, 10)), ("CyclicLR", (0.1, 0.5))):
        kind = getattr(library, name)
        with pytest.raises(ValueError, match="Adagrad has no momentum"):
            kind(of_groups(nn.Adagrad), *arguments)
        kind(of_groups(nn.Adagrad), *arguments, cycle_momentum=False)


def check_refused_options(library):
    one = of_groups()
    once, cyclic = functools.partial(library.OneCycleLR, one, 1.0), functools.partial(library.CyclicLR, one, 0.1, 0.5)
    for wrong, words in (
        (functools.partial(once), "needs total_steps, or epochs and steps_per_epoch"),
        (functools.partial(once, epochs=3), "needs total_steps"),
        (functools.partial(once, steps_per_epoch=3), "needs total_steps"),
        (functools.partial(once, epochs=0, steps_per_epoch=3), "epochs must be at least 1"),
        (functools.partial(once, epochs=3, steps_per_epoch=0), "steps_per_epoch must be at least 1"),
        (functools.partial(once, 10, anneal_strategy="exp"), "anneal_strategy is 'cos' or 'linear'; got 'exp'"),
        (functools.partial(once, 10, pct_start=1.1), "pct_start is a share"),
        (functools.partial(once, 10, pct_start=-0.1), "pct_start is a share"),
        (functools.partial(once, 10, max_momentum=[0.9]), "max_momentum has 1 items, but the optimiser has 2 groups"),
        (functools.partial(once, 10, base_momentum=[0.9]), "base_momentum has 1 items"),
        (functools.partial(library.OneCycleLR, one, [1.0], 10), "max_lr has 1 items"),
        (functools.partial(library.CyclicLR, one, [0.1], 0.5), "base_lr has 1 items"),
        (functools.partial(library.CyclicLR, one, 0.1, [0.5]), "max_lr has 1 items"),
        (functools.partial(cyclic, 0), "step_size_up must be at least 1"),
        (functools.partial(cyclic, mode="square"), "mode is 'triangular', 'triangular2' or 'exp_range'; got 'square'"),
        (functools.partial(cyclic, scale_mode="epochs"), "scale_mode is 'cycle' or 'iterations'; got 'epochs'"),
        (functools.partial(library.CosineAnnealingWarmRestarts, one, 0), "T_0 must be at least 1"),
        (functools.partial(library.CosineAnnealingWarmRestarts, one, 1, 0), "T_mult must be at least 1"),
        (functools.partial(library.PolynomialLR, one, 0), "total_iters must be at least 1"),
        (functools.partial(library.ConstantLR, one, -0.1), "factor is from 0 to 1"),
        (functools.partial(library.ConstantLR, one, 1.1), "factor is from 0 to 1"),
        (functools.partial(library.LambdaLR, one, [abs]), "lr_lambda has 1 items"),
        (functools.partial(library.ReduceLROnPlateau, one, min_lr=[0.1]), "min_lr has 1 items"),
    ):
        with pytest.raises(ValueError, match=words):
            wrong()
    library.OneCycleLR(one, (1.0, 2.0), 10)
    library.OneCycleLR(one, 1.0, 10, pct_start=0.0)
    for name, arguments in (("LambdaLR", (abs,)), ("CyclicLR", (0.1, 0.5)), ("CosineAnnealingWarmRestarts", (1,))):
        with pytest.raises(TypeError, match=f"{name} takes an optimiser"):
            getattr(library, name)(None, *arguments)
    with pytest.raises(TypeError, match="lr_lambda is a function of the epoch; got float"):
        library.LambdaLR(one, 0.5)
