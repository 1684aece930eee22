"""Averages of weights: PyTorch's numbers (extra `oracle`), and what they keep and refuse."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import Tensor
from nn.optim.swa_utils import SWALR, AveragedModel, get_ema_avg_fn, get_swa_avg_fn, update_bn

RNG = np.random.default_rng(0)
BATCHES = [RNG.normal(size=(6, 3)) for _ in range(4)]


def model():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()


def their_model(torch, ours):
    layers = torch.nn
    theirs = layers.Sequential(layers.Linear(3, 4), layers.BatchNorm1d(4), layers.Tanh(), layers.Linear(4, 2)).double()
    theirs.load_state_dict({name: torch.tensor(x) for name, x in ours.state_dict().items()})
    return theirs


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("decay", [None, 0.0, 0.9])
def test_averages_are_pytorchs(use_buffers, decay):
    torch = pytest.importorskip("torch")
    swa = torch.optim.swa_utils
    mine = model()
    theirs = their_model(torch, mine)
    optimizers = [nn.SGD(mine.parameters(), lr=0.1), torch.optim.SGD(theirs.parameters(), lr=0.1)]
    averages = [
        AveragedModel(mine, avg_fn=decay if decay is None else get_ema_avg_fn(decay), use_buffers=use_buffers),
        swa.AveragedModel(
            theirs, avg_fn=swa.get_swa_avg_fn() if decay is None else swa.get_ema_avg_fn(decay), use_buffers=use_buffers
        ),
    ]
    for x in BATCHES:
        for network, optimizer, average, batch in (
            (mine, optimizers[0], averages[0], x),
            (theirs, optimizers[1], averages[1], torch.tensor(x)),
        ):
            optimizer.zero_grad()
            (network(batch) ** 2).sum().backward()
            optimizer.step()
            average.update_parameters(network)
        expected = averages[1].state_dict()
        assert averages[0].state_dict().keys() == expected.keys()
        for name, array in averages[0].state_dict().items():
            np.testing.assert_allclose(array, expected[name].numpy(), rtol=1e-10, atol=1e-12)
    update_bn(BATCHES, averages[0])
    swa.update_bn([torch.tensor(x) for x in BATCHES], averages[1])
    for name, array in averages[0].state_dict().items():
        np.testing.assert_allclose(array, averages[1].state_dict()[name].numpy(), rtol=1e-10, atol=1e-12)


def test_an_average_is_the_mean_and_shares_nothing_with_the_model():
    network, seen = model(), []
    average = AveragedModel(network)
    for i in range(5):
        network[0].weight.assign(network[0].weight.data * 0.5 + i)
        seen.append(network[0].weight.data)
        average.update_parameters(network)
    np.testing.assert_allclose(average.module[0].weight.data, np.mean(seen, axis=0))
    assert average.n_averaged.item() == 5
    for a, b in zip(average.module.parameters(), network.parameters(), strict=True):
        assert not np.shares_memory(a.data, b.data)
    again = AveragedModel(network)
    again.load_state_dict(average.state_dict())
    assert again.n_averaged.item() == 5
    assert np.array_equal(again(BATCHES[0]).data, average(BATCHES[0]).data)
    assert get_swa_avg_fn()(np.float32(1), np.float32(3), 1).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_averages_have_the_dtype_of_the_weights(dtype):
    network = model().to(dtype)
    average = AveragedModel(network, avg_fn=get_ema_avg_fn(0.9), use_buffers=True)
    for _ in range(3):
        average.update_parameters(network)
    assert [x.dtype for x in average.module.state_dict().values()] == [x.dtype for x in network.state_dict().values()]
    with pytest.raises(ValueError, match="not those of the model"):
        average.update_parameters(nn.Linear(3, 4))
    with pytest.raises(ValueError, match="decay is from 0 to 1"):
        get_ema_avg_fn(1.5)


def test_statistics_are_those_of_all_batches_and_modes_and_momenta_return():
    network = model()
    network.eval()
    network[1].momentum = 0.3
    network[3].train()
    update_bn([(x, "label") for x in BATCHES], network)
    hidden = [x @ network[0].weight.data.T + network[0].bias.data for x in BATCHES]
    np.testing.assert_allclose(network[1].running_mean.data, np.mean([h.mean(axis=0) for h in hidden], axis=0))
    np.testing.assert_allclose(network[1].running_var.data, np.mean([h.var(axis=0, ddof=1) for h in hidden], axis=0))
    assert network[1].momentum == 0.3 and [m.training for m in network] == [False, False, False, True]
    broken = [BATCHES[0], "not a batch"]
    with pytest.raises(ValueError, match="needs inputs"):
        update_bn(broken, network)
    assert network[1].momentum == 0.3 and not network.training
    update_bn(broken, nn.Linear(3, 3))  # nothing to measure


@pytest.mark.parametrize(
    "options",
    [
        {"swa_lr": 0.5},
        {"swa_lr": 0.05, "anneal_epochs": 3, "anneal_strategy": "linear"},
        {"swa_lr": [0.5, 0.01], "anneal_epochs": 4},
        {"swa_lr": 0.5, "anneal_epochs": 0},
    ],
)
@pytest.mark.parametrize("by_hand", [False, True])
def test_the_rate_moves_as_pytorchs(options, by_hand):
    torch = pytest.importorskip("torch")
    ours = nn.SGD([{"params": [Tensor(0.0, requires_grad=True)], "lr": r} for r in (0.1, 0.3)])
    theirs = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": r} for r in (0.1, 0.3)])
    mine, other = SWALR(ours, **options), torch.optim.swa_utils.SWALR(theirs, **options)
    for epoch in range(14):
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-9)
        if by_hand and epoch == 1:
            ours.groups[0]["lr"] = theirs.param_groups[0]["lr"] = 0.2
        theirs.step()
        mine.step()
        other.step()


def test_a_state_is_kept_and_options_are_checked():
    def made():
        optimizer = nn.SGD([Tensor(0.0, requires_grad=True)], lr=0.1)
        return optimizer, SWALR(optimizer, 0.5, 4)

    (first, one), (second, other) = made(), made()
    one.step()
    other.load_state_dict(one.state_dict())
    assert second.lr == first.lr and other.epoch == 1
    one.restart()
    assert first.lr == 0.1
    for wrong, words in (
        ({"anneal_strategy": "exp"}, "anneal_strategy is"),
        ({"anneal_epochs": -1}, "anneal_epochs must be at least 0"),
        ({"swa_lr": [0.1, 0.2]}, "swa_lr has 2 items"),
    ):
        with pytest.raises(ValueError, match=words):
            SWALR(first, **{"swa_lr": 0.5, **wrong})
