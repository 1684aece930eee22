"""`fit` on several ranks: the weights of one process, verdicts for all, and ends that end all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nn
from nn.parallel.training import part_of, weight_of
from ranks import Aborted, Full, Threads, on_ranks

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.normal(size=(50, 4)), GENERATOR.integers(0, 3, 50)


def network(*extra, seed=0):
    generator = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(4, 6, generator=generator), nn.Tanh(), *extra, nn.Linear(6, 3, generator=generator)
    ).double()


def trained(comm, model=None, optimizer=nn.Adam, X=X, y=Y, **options):
    """Train, and return the model, what it learned and the history."""
    model = model or network()
    options = {"epochs": 3, "batch_size": 16, "generator": np.random.default_rng(2), **options}
    optimizer = optimizer if isinstance(optimizer, nn.optim.Optimizer) else optimizer(model.parameters())
    history = nn.fit(model, X, y, optimizer=optimizer, progress=False, comm=comm, **options)
    return model, model.state_dict(), dict(history), history.stopped, optimizer


def same(found, one, atol=1e-12):
    """All ranks have the same bits, and the numbers of one process."""
    for _, state, history, stopped, _ in found:
        assert stopped == one[3] and history.keys() == one[2].keys()
        for name, column in history.items():
            np.testing.assert_allclose(column, one[2][name], rtol=0, atol=1e-12)
        for name, array in state.items():
            np.testing.assert_allclose(array, one[1][name], rtol=0, atol=atol)
            assert array.tobytes() == found[0][1][name].tobytes()


OPTIMISERS = {
    "SGD": lambda params: nn.SGD(params, 0.1, momentum=0.9),
    "Adam": nn.Adam,
    "Adafactor": nn.Adafactor,
    "LBFGS": lambda params: nn.LBFGS(params, max_iter=3, line_search_fn="strong_wolfe"),
}


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_weights_are_those_of_one_process(name, size):
    def train(comm):
        own = (
            {} if comm is None or comm.rank == 0 else {"model": network(seed=1), "generator": np.random.default_rng(9)}
        )
        return trained(comm, optimizer=OPTIMISERS[name], validation=0.2, metrics=["accuracy"], **own)

    found, errors, _ = on_ranks(size, train, Threads if size == 2 else Full)
    assert errors == [None] * size
    one = train(None)
    same(found, one)
    if size == 1:
        assert all(found[0][1][name].tobytes() == one[1][name].tobytes() for name in one[1])
    for state in found[0][4].state, found[-1][4].state:
        for own, theirs in zip(one[4].state, state, strict=True):
            for key, value in own.items():
                np.testing.assert_allclose(theirs[key], value, rtol=0, atol=1e-12)


WEIGHTS = np.array([0.2, 1.0, 3.0])
LOSSES = {
    "sum": nn.CrossEntropyLoss(reduction="sum"),
    "weighted": nn.CrossEntropyLoss(weight=WEIGHTS),
    "ignored": nn.CrossEntropyLoss(ignore_index=1),
    "both": nn.CrossEntropyLoss(weight=WEIGHTS, ignore_index=2),
    "smooth": nn.CrossEntropyLoss(label_smoothing=0.1),
    "own": lambda prediction, y: (prediction[np.arange(len(y)), y] ** 2).mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_kind_of_mean_is_that_of_the_whole_batch(name):
    found, errors, _ = on_ranks(3, lambda comm: trained(comm, loss=LOSSES[name], validation=0.2))
    assert errors == [None] * 3
    same(found, trained(None, loss=LOSSES[name], validation=0.2))


def test_metrics_of_ones_own_see_all_predictions():
    metrics = {"range": lambda prediction, y: float(np.ptp(prediction[:, 0]) + np.median(y))}
    found, errors, _ = on_ranks(3, lambda comm: trained(comm, metrics=metrics, validation=(X[:2], Y[:2])))
    assert errors == [None] * 3
    same(found, trained(None, metrics=metrics, validation=(X[:2], Y[:2])))


class Seen(nn.Dataset):
    """Samples that note who reads them."""

    def __init__(self, rows=50):
        self.read, self.rows = [], rows

    def __len__(self):
        return self.rows

    def __getitem__(self, i):
        self.read.append(i)
        return X[i], Y[i]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_every_sample_of_a_batch_is_read_by_one_rank(prefetch):
    def read(comm):
        data = Seen(44)
        loader = nn.DataLoader(data, 16, shuffle=True, generator=np.random.default_rng(3), prefetch=prefetch)
        result = trained(comm, X=loader, y=None, epochs=2, batch_size=32)
        return [*result, data.read[-44 * 2 // (1 if comm is None else comm.size) :]]

    one, (found, errors, _) = read(None), on_ranks(2, read)
    assert errors == [None, None]
    same([r[:5] for r in found], one[:5])
    batches = [*range(0, 44, 16)]
    whole = one[5]
    for epoch in range(2):
        for start in batches:
            rows = whole[44 * epoch + start : min(44 * epoch + start + 16, 44 * (epoch + 1))]
            parts = [r[5][22 * epoch + start // 2 :][: len(rows) // 2] for r in found]
            assert rows == [*parts[0], *parts[1]]


def test_parts_cover_all_rows_once():
    for n in range(12):
        for size in range(1, 6):
            parts = [[*range(n)][part_of(n, rank, size)] for rank in range(size)]
            assert [i for part in parts for i in part] == [*range(n)]
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
            lengths = [len(range(n)[part_of(n, rank, size, least=2)]) for rank in range(size)]
            assert sum(lengths) == n and (n < 2 or not lengths.count(1))
    assert weight_of(nn.MSELoss(), np.zeros((5, 2))) == 5


def test_what_layers_draw_differs_by_rank_and_the_order_does_not():
    def train(comm):
        dropout = nn.Dropout(0.5, generator=np.random.default_rng(7))
        masks = []
        dropout.register_forward_hook(lambda module, inputs, output: masks.append(output.data != 0))
        model, state, *_ = trained(comm, network(dropout), epochs=2, X=X[:48], y=Y[:48])
        return masks[0], masks[3], state, model[2].generator.bit_generator.state

    (a, b), errors, _ = on_ranks(2, train)
    assert errors == [None, None] and a[3] == b[3]
    for first, second in zip(a[:2], b[:2], strict=True):
        assert not np.array_equal(first, second)
    assert all(a[2][name].tobytes() == b[2][name].tobytes() for name in a[2])
    again, _, _ = on_ranks(2, train)
    assert all(a[2][name].tobytes() == again[1][2][name].tobytes() for name in a[2])


def test_running_statistics_are_the_mean_of_the_ranks():
    def train(comm):
        model = network(nn.BatchNorm1d(6))
        model.scale = np.inf
        model.register_buffer("mask", np.array([0.1, -np.inf, np.nan]))
        return trained(comm, model, epochs=1, batch_size=50)[1]

    found, errors, _ = on_ranks(2, train)
    assert errors == [None, None]
    for name, array in found[0].items():
        assert array.tobytes() == found[1][name].tobytes(), name
    model, order = network(nn.BatchNorm1d(6)), np.random.default_rng(2).permutation(50)
    hidden = np.tanh(X[order] @ model[0].weight.data.T + model[0].bias.data)
    mean = np.mean([hidden[:25].mean(0), hidden[25:].mean(0)], axis=0)
    np.testing.assert_allclose(found[0]["2.running_mean"], 0.1 * mean, atol=1e-6)
    assert found[0]["mask"][0] == 0.1 and found[0]["2.num_batches_tracked"] == 1


class Counting(nn.Module):
    """A layer that counts its calls in a buffer."""

    def __init__(self):
        self.register_buffer("calls", np.zeros((), np.int64))

    def forward(self, x):
        if self.training:
            self.calls.assign(self.calls.data + 1)
        return x


@pytest.mark.parametrize("n", [50, 51, 53])  # the last batch has 2, 3 or 5 samples
def test_batch_norm_has_two_samples_on_a_rank_also_in_a_short_last_batch(n):
    data = {"X": np.resize(X, (n, 4)), "y": np.resize(Y, n)}
    found, errors, _ = on_ranks(3, lambda comm: trained(comm, network(nn.BatchNorm1d(6)), **data))
    assert errors == [None] * 3
    assert len({r[1]["0.weight"].tobytes() for r in found}) == 1


def test_a_count_is_rank_0s_also_if_others_had_no_samples():
    found, errors, _ = on_ranks(2, lambda comm: trained(comm, network(Counting()), batch_size=49, epochs=2)[1])
    assert errors == [None, None] and [state["2.calls"] for state in found] == [4, 4]


# ---- callbacks


class Freezing(nn.Callback):
    """Freezes the first layer after an epoch, sets the rate, and stops after three."""

    def __init__(self):
        self.calls = 0

    def on_epoch_end(self, run):
        self.calls += 1
        for p in run.model[0].parameters():
            p.requires_grad = False
        run.optimizer.lr = 0.5
        run.model[2].bias.assign(np.full(3, 2.0))
        return "enough" if run.epoch == 3 else None


@pytest.mark.parametrize("size", [2, 3])
def test_verdicts_of_rank_0s_callbacks_hold_for_all(size):
    def train(comm):
        callbacks = [
            Freezing(),
            nn.EarlyStopping("val_loss", patience=1, mode="max"),
            nn.LRSchedule(nn.StepLR(optimizer := nn.SGD((model := network()).parameters(), 0.3, 0.9), 1)),
        ]
        result = trained(comm, model, optimizer, epochs=9, validation=0.3, callbacks=callbacks)
        return [*result, callbacks[0].calls, optimizer.lr, [p.requires_grad for p in model.parameters()]]

    one, (found, errors, _) = train(None), on_ranks(size, train)
    assert errors == [None] * size
    same([r[:5] for r in found], one[:5])
    assert [r[5] for r in found] == [one[5]] + [0] * (size - 1)
    assert all(r[6:] == one[6:] for r in found)


@pytest.mark.parametrize(("first", "second"), [(2, 3), (3, 1), (1, 2)])
def test_a_checkpoint_is_resumed_by_any_number_of_ranks(first, second, tmp_path):
    def train(comm, epochs, folder):
        callbacks = [nn.Checkpoint(folder)]
        return trained(comm, epochs=epochs, callbacks=callbacks, validation=0.2)

    _, errors, _ = on_ranks(first, lambda comm: train(comm, 2, tmp_path / "a"))
    assert errors == [None] * first
    found, errors, _ = on_ranks(second, lambda comm: train(comm, 5, tmp_path / "a"))
    assert errors == [None] * second
    same(found, train(None, 5, tmp_path / "b"))


# ---- refusals and ends


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": lambda: nn.Linear(4, 3)}, "another model"),
        ({"X": lambda: X + 1}, "another data"),
        ({"batch_size": lambda: 15}, "another batches"),
        ({"epochs": lambda: 4}, "another number of epochs"),
        ({"loss": lambda: nn.CrossEntropyLoss(label_smoothing=0.1)}, "another loss"),
    ],
)
def test_runs_that_differ_are_refused_before_the_first_step(changed, words):
    def train(comm):
        return trained(comm, **{name: make() for name, make in changed.items() if comm.rank == 1})

    _, errors, aborted = on_ranks(2, train)
    assert not aborted and isinstance(errors[1], ValueError) and words in str(errors[1])
    assert "rank 1 could not begin" in str(errors[0])


class Loops(nn.DataLoader):
    def __iter__(self):
        return super().__iter__()


CHUNKED = nn.DataLoader(nn.TensorDataset(X, Y), 5, shuffle=True)
CHUNKED.chunks = True  # it reads whole chunks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 2}, "have none for some ranks"),
        ({"X": Loops(nn.TensorDataset(X, Y), 5), "y": None}, "must iterate as nn.DataLoader"),
        ({"X": CHUNKED, "y": None}, "must iterate as nn.DataLoader"),
        ({"y": Y[:3]}, "one label per sample"),
    ],
)
def test_what_no_rank_can_do_is_refused_on_all(options, words):
    _, errors, aborted = on_ranks(3, lambda comm: trained(comm, **options))
    assert not aborted and all(isinstance(error, ValueError) and words in str(error) for error in errors)


class Fails(nn.Callback):
    def on_resume(self, run):
        raise ValueError("a damaged file")


def test_an_error_before_the_first_step_is_raised_on_all_ranks():
    _, errors, aborted = on_ranks(2, lambda comm: trained(comm, callbacks=[Fails()]))
    assert not aborted and "a damaged file" in str(errors[0]) and "rank 0 could not begin" in str(errors[1])


class Breaking(nn.Module):
    """A model that raises an error in one forward pass."""

    def __init__(self, inner, error, at):
        self.inner, self._left, self._error = inner, at, error

    def forward(self, x):
        self._left -= 1
        if not self._left:
            raise self._error
        return self.inner(x)


class BreaksAtEnd(nn.Callback):
    def on_epoch_end(self, run):
        raise OSError("the disk is full")


@pytest.mark.parametrize("where", ["step", "validation", "callback", "exit", "not finite"])
def test_an_error_on_one_rank_ends_all_with_its_traceback(where, capfd):
    def train(comm):
        at = {"step": 3, "exit": 2, "validation": 5}.get(where, 0) if comm.rank == 1 else 0
        error = SystemExit(0) if where == "exit" else ValueError("planted")
        data = np.where(np.arange(50)[:, None] % 7, X, np.inf) if where == "not finite" else X
        callbacks = [BreaksAtEnd()] if where == "callback" else []
        with np.errstate(all="ignore"):
            return trained(comm, Breaking(network(), error, at), X=data, callbacks=callbacks, validation=(X, Y))

    _, errors, aborted = on_ranks(2, train)
    assert aborted and all(errors)
    assert {type(e) for e in errors} <= {ValueError, OSError, SystemExit, nn.TrainingError, Aborted}
    shown = capfd.readouterr().err
    assert "ends all ranks" in shown and "Traceback" in shown


@pytest.mark.parametrize("name", ["Adam", "Muon", "LBFGS"])
def test_an_interrupt_on_one_rank_ends_all_after_a_whole_step(name):
    def train(comm):
        at = 6 if comm is None else 5 * comm.rank  # in the fourth batch, of two samples, rank 1 has none
        model = network()
        params = [p for p in model.parameters() if p.ndim == 2]
        optimizer = getattr(nn, name)(params, lr=0.1)
        return trained(comm, Breaking(model, KeyboardInterrupt(), at), optimizer)

    found, errors, aborted = on_ranks(2, train)
    assert errors == [None, None] and not aborted
    same(found, train(None))
    assert "interrupted" in found[0][3]


def test_an_interrupt_in_a_callback_ends_all():
    class Interrupts(nn.Callback):
        def on_epoch_end(self, run):
            raise KeyboardInterrupt

    found, errors, _ = on_ranks(2, lambda comm: trained(comm, callbacks=[Interrupts()]))
    assert errors == [None, None] and [r[3] for r in found] == ["interrupted in epoch 1"] * 2


PROGRAM = """
import numpy as np, nn, sys
from mpi4py import MPI
comm = MPI.COMM_WORLD
X = np.random.default_rng(0).normal(size=(90, 4))
model = nn.Sequential(nn.Linear(4, 5, generator=np.random.default_rng(comm.rank)), nn.Tanh(), nn.Linear(5, 2)).double()
history = nn.fit(model, X, (X[:, 0] > 0).astype(int), epochs=2, generator=np.random.default_rng(0), comm=comm)
print(repr(abs(model[0].weight.data).sum()), history["loss"])
if comm.rank == 1 and sys.argv[1:]:
    raise ValueError("planted")
"""


def test_processes_of_mpi(tmp_path):
    pytest.importorskip("mpi4py")
    launcher = Path(sys.executable).with_name("mpiexec")
    if not launcher.exists():
        pytest.skip("no mpiexec beside the interpreter")
    (tmp_path / "train.py").write_text(PROGRAM)
    command = [str(launcher), "-n", "2", sys.executable, str(tmp_path / "train.py"), "and raise"]
    environment = {**os.environ, "PYTHONPATH": str(Path(nn.__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stdout.splitlines() if "[" in line]
    assert len(lines) == 2 and lines[0] == lines[1], done.stdout + done.stderr
    assert done.returncode and "ValueError: planted" in done.stderr
