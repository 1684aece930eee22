"""A killed run resumes and ends with the same bits; TensorBoard reads the event files."""

from __future__ import annotations

import collections
import contextlib
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import nn
from autograd import Tensor
from callbacks import SCHEDULES, Counts
from nn.checkpoint import pack, unpack
from nn.tensorboard import TensorBoard

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
import numpy as np
import nn

class Tell(nn.Callback):
    def on_epoch_end(self, run):
        print(run.epoch, flush=True)

folder, epochs = sys.argv[1], int(sys.argv[2])
nn.manual_seed(3)
X = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
y = (X[:, 0] > X[:, 1]).astype(int)
model = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
optimizer = nn.Adam(model.parameters(), lr=0.01)
schedule = nn.CosineAnnealingLR(optimizer, T_max=epochs)
callbacks = [nn.LRSchedule(schedule), nn.EarlyStopping(patience=100), nn.TrackPredictions(X[:2]), Tell()]
if folder != "-":
    callbacks.append(nn.Checkpoint(folder))
history = nn.fit(model, X, y, optimizer=optimizer, epochs=epochs, batch_size=16, validation=0.2, callbacks=callbacks,
                 progress=False)
import hashlib
bits = b"".join(a.tobytes() for a in model.state_dict().values())
print(hashlib.sha256(bits).hexdigest(), history["val_loss"], callbacks[2].probabilities[-1].tolist())
"""


def start(folder, epochs=12):
    environment = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "PATH": ""}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(epochs)], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits_as_one_that_was_not(tmp_path):
    whole, _ = start("-").communicate()
    expected = whole.splitlines()[-1]
    killed_at = []
    for stop in (2, 5, 9):  # kill the run during the epoch after each of these
        process = start(tmp_path / "run")
        for line in process.stdout:
            if line.strip() == str(stop):
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
        killed_at.append(process.returncode)
    assert killed_at == [-signal.SIGKILL] * 3
    resumed, _ = start(tmp_path / "run").communicate()
    lines = resumed.splitlines()
    assert int(lines[0]) > 8 and lines[-1] == expected


def fitted(folder, epochs=3, model=None, extra=()):
    nn.manual_seed(0)
    X = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    model = model or nn.Linear(2, 1)
    checkpoint = nn.Checkpoint(folder)
    history = nn.fit(model, X, X[:, :1], epochs=epochs, progress=False, callbacks=[checkpoint, *extra])
    return model, history


def test_a_finished_run_is_not_run_again_and_more_epochs_go_on(tmp_path):
    model, history = fitted(tmp_path)
    again, same = fitted(tmp_path)
    assert same == history and np.array_equal(again.weight.data, model.weight.data)
    _, longer = fitted(tmp_path, epochs=5)
    assert longer["loss"][:3] == history["loss"] and longer.epochs == 5


@pytest.mark.parametrize("ended", [None, KeyboardInterrupt, RuntimeError])
def test_an_object_stays_with_the_model_of_its_first_run(ended, tmp_path):
    class Ends(nn.Callback):
        def on_epoch_end(self, run):
            if ended and run.epoch == 2:
                raise ended

    def run(checkpoint, model, epochs=3):
        options = {"progress": False, "generator": np.random.default_rng(0)}
        with contextlib.suppress(RuntimeError):
            return nn.fit(model, X, X[:, :1], epochs=epochs, callbacks=[Ends(), checkpoint], **options)

    X = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    held, first, other = nn.Checkpoint(tmp_path), nn.Linear(2, 1), nn.Linear(2, 1)
    run(held, first)
    before = other.weight.data
    for checkpoint in (held, held):  # also when it is tried again
        with pytest.raises(ValueError, match=r"holds epoch \d of another model, in .*last.npz: give each model"):
            run(checkpoint, other)
    assert other.weight.data is before
    ended = None
    assert run(held, first, 5).epochs == 5
    assert run(nn.Checkpoint(tmp_path), other, 6).epochs == 6  # another object resumes
    assert run(pickle.loads(pickle.dumps(held)), other, 7).epochs == 7
    (tmp_path / "last.npz").unlink()
    found = run(held, other)  # now there is nothing to resume
    assert found.epochs == 3 and not np.array_equal(other.weight.data, before)


def test_the_best_model_is_kept(tmp_path):
    _, history = fitted(tmp_path)
    model = nn.Linear(2, 1)
    nn.load(tmp_path / "best.npz", model)
    assert history["loss"][-1] == min(history["loss"]) and np.isfinite(model.weight.data).all()


def test_a_checkpoint_of_another_run_is_refused_before_anything_changes(tmp_path):
    fitted(tmp_path)
    other = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = other[0].weight.data
    with pytest.raises(ValueError, match=r"another model: Linear\(2 -> 1\).* then, Sequential"):
        fitted(tmp_path, model=other)
    with pytest.raises(ValueError, match="has the callbacks Checkpoint, and this run Checkpoint, Early"):
        fitted(tmp_path, extra=[nn.EarlyStopping()])
    assert other[0].weight.data is before
    (tmp_path / "last.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a complete file"):
        fitted(tmp_path)
    nn.save({"a": np.zeros(2)}, tmp_path / "last.npz")
    with pytest.raises(ValueError, match="not a checkpoint"):
        fitted(tmp_path)


# ---- every optimiser, schedule and callback

OPTIMISERS = {
    "SGD": lambda groups: nn.SGD(groups, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda groups: nn.Adam(groups, lr=0.01, amsgrad=True, betas=(0.8, 0.9)),
    "AdamW": lambda groups: nn.AdamW(groups, lr=0.01),
    "RMSprop": lambda groups: nn.RMSprop(groups, lr=0.01, centered=True, momentum=0.5),
    "Adagrad": lambda groups: nn.Adagrad(groups, lr=0.1, lr_decay=0.1),
    "Adadelta": lambda groups: nn.Adadelta(groups),
    "NAdam": lambda groups: nn.NAdam(groups, lr=0.01, decoupled_weight_decay=True, weight_decay=0.1),
    "RAdam": lambda groups: nn.RAdam(groups, lr=0.01, betas=(0.8, 0.9)),
    "Adamax": lambda groups: nn.Adamax(groups),
    "Rprop": lambda groups: nn.Rprop(groups, etas=(0.4, 1.3), step_sizes=(1e-4, 1.0)),
    "ASGD": lambda groups: nn.ASGD(groups, lr=0.05, lambd=0.1, t0=3),
    "Adafactor": lambda groups: nn.Adafactor(groups, eps=(None, 0.1)),
    "Muon": lambda groups: muon(groups),
    "LBFGS": lambda groups: nn.LBFGS([p for group in groups for p in group["params"]], lr=0.1, max_iter=3),
    "LBFGS, searching": lambda groups: nn.LBFGS(
        [p for group in groups for p in group["params"]], max_iter=3, history_size=2, line_search_fn="strong_wolfe"
    ),
}


def muon(groups):
    """Muon for the matrices; the other parameters are frozen, for nobody would clear their gradients."""
    for group in groups:
        for p in group["params"]:
            p.requires_grad = p.ndim == 2
    matrices = [{"params": [p for p in group["params"] if p.requires_grad]} for group in groups]
    return nn.Muon(matrices, adjust_lr_fn="match_rms_adamw")


class Drifting(nn.Module):
    """A layer with a buffer that its state leaves out, and a generator of its own."""

    def __init__(self):
        self.register_buffer("drift", np.zeros((), np.float32), persistent=False)
        self.generator = np.random.default_rng(3)

    def forward(self, x):
        if self.training:
            self.drift.assign(self.drift.data + np.float32(self.generator.normal() * 0.01))
        return x + self.drift.data


class Noisy(nn.TensorDataset):
    """Rows with noise of a generator of its own."""

    def __init__(self, *arrays):
        super().__init__(*arrays)
        self.generator = np.random.default_rng(4)

    def batch(self, rows):
        x, y = super().batch(rows)
        return x + self.generator.normal(size=x.shape).astype(np.float32) * 0.01, y


def whole_run(make, schedule, folder, dtype, epochs=4, stop_in=None):
    """Train, and be interrupted in the middle of epoch `stop_in`; return everything that a run leaves."""
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), Drifting(), nn.Dropout(0.2), nn.Linear(4, 2)).to(dtype)
    X = np.random.default_rng(0).normal(size=(24, 3)).astype(dtype)
    Y = (X[:, 0] > 0).astype(int)
    groups = [{"params": model.parameters()[:2]}, {"params": model.parameters()[2:]}]
    optimizer = make(groups)
    own = [Counts(limit=4), nn.TrackPredictions(X[:2]), nn.Film(X[:2]), nn.EarlyStopping("loss", patience=3)]
    if schedule is not None:
        own.append(nn.LRSchedule(schedule(optimizer)))
    if folder is not None:
        own.append(nn.Checkpoint(folder))
    steps, stops = [], [stop_in]  # in a list, because an enclosed number is a setting of the loss

    def loss(p, y):
        steps.append(len(y))
        if stops[0] is not None and len(history()) == stops[0] - 1 and len(steps) > 1:
            raise KeyboardInterrupt
        return nn.CrossEntropyLoss()(p, y)

    def history():
        return own[1].probabilities  # one item per epoch

    loss.__qualname__ = "loss"
    loader = nn.DataLoader(Noisy(X, Y), 8, shuffle=True, generator=np.random.default_rng(2))
    found = nn.fit(
        model, loader, epochs=epochs, optimizer=optimizer, loss=loss, validation=(X[:6], Y[:6]), metrics=["accuracy"],
        callbacks=own, progress=False,
    )  # fmt: skip
    if stop_in is not None:
        assert found.stopped == f"interrupted in epoch {stop_in}"
        return None
    callbacks = [callback.state_dict() for callback in own[: 4 + (schedule is not None)]]
    draws = [g.random() for g in (nn.init.default_generator(), loader.generator, model[2].generator)]
    return {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "callbacks": callbacks, "draws": draws,
        "history": dict(found), "stopped": found.stopped, "drift": model[2].drift.data,
    }  # fmt: skip


@pytest.mark.parametrize("schedule", [None, *SCHEDULES])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_run_interrupted_in_any_epoch_goes_on_as_if_it_had_not_been(name, schedule, tmp_path):
    epochs = (2, 3, 4) if schedule is None or name == "SGD" else (2 + (len(name) + len(schedule)) % 3,)
    make, schedule = OPTIMISERS[name], SCHEDULES.get(schedule)
    expected = whole_run(make, schedule, None, np.float32)
    for first in epochs:
        folder = tmp_path / str(first)
        whole_run(make, schedule, folder, np.float32, stop_in=first)
        same(whole_run(make, schedule, folder, np.float32), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("name", [name for name in OPTIMISERS if "LBFGS" not in name])
def test_a_run_of_any_dtype_goes_on(name, dtype, tmp_path):
    expected = whole_run(OPTIMISERS[name], None, None, dtype)
    for first in (2, 3):  # interrupted twice
        whole_run(OPTIMISERS[name], None, tmp_path, dtype, stop_in=first)
    same(whole_run(OPTIMISERS[name], None, tmp_path, dtype), expected)


# ---- what a file gives back

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(st.characters(), max_size=5),
    st.sampled_from([np.float16, np.float32, np.float64, np.complex64, np.int8, np.uint64, np.bool_]).flatmap(
        lambda dtype: st.sampled_from(
            [
                dtype(1),
                np.ones((), dtype),
                np.zeros((2, 0), dtype),
                np.eye(2, 3, dtype=dtype),
                np.eye(3, 2, dtype=dtype).T,
            ]
        )
    ),
)
KEYS = st.one_of(
    st.integers(), st.text(max_size=3), st.sampled_from(["\0array", "\0tuple", "\0"]), st.none(), st.booleans(),
    st.tuples(st.integers(), st.text(max_size=2)), st.floats(allow_nan=False),
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal, with all types, down to the bits of floats."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        assert a.flags.c_contiguous == b.flags.c_contiguous
    elif isinstance(a, dict):
        assert [*a] == [*b] and [*map(type, a)] == [*map(type, b)]
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert repr(a) == repr(b)


@given(TREES)
def test_a_state_comes_back_from_a_file_as_it_was(tree):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        nn.save(pack({"state": tree}), path)
        same(unpack(nn.load(path)), {"state": tree})


def itself():
    found = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({1, 2}, r"x\[1\] is of type set"),
        (Tensor(1.0), "is of type Tensor"),
        (b"bytes", "is of type bytes"),
        (np.array(["a"]), "holds <U1"),
        (np.datetime64("2020"), "holds datetime64"),
        (np.array([None]), "holds object"),
        (np.ma.array([1], mask=[True]), "MaskedArray"),
        (collections.OrderedDict(a=1), "OrderedDict"),
        (collections.namedtuple("Point", "x")(1), "Point"),
        (signal.SIGINT, "Signals"),
        (len, "builtin_function"),
        (itself(), "contains itself"),
    ],
)
def test_a_state_that_could_not_be_restored_is_refused_when_it_is_saved(value, words, tmp_path):
    class Held(nn.Callback):
        def state_dict(self):
            return {"x": [0, value]} if saving else {}

    saving = False
    with pytest.raises(ValueError, match=words):
        pack({"x": [0, value]})

    class Later(Held):
        def on_epoch_end(self, run):
            nonlocal saving
            saving = True

    with pytest.raises(ValueError, match="this run cannot be saved: "):
        fitted(tmp_path, extra=[Later()])
    assert not (tmp_path / "last.npz").exists()


# ---- TensorBoard


def test_tensorboard_reads_what_is_written(tmp_path):
    _, history = fitted(tmp_path / "run", extra=[TensorBoard(tmp_path / "board")])
    board = EventAccumulator(str(tmp_path / "board")).Reload()
    assert set(board.Tags()["scalars"]) == {*history, "lr"}
    for name, column in history.items():
        scalars = board.Scalars(name)
        assert [s.step for s in scalars] == [1, 2, 3]
        assert np.allclose([s.value for s in scalars], column)


def test_a_second_run_writes_a_second_file(tmp_path):
    for _ in range(2):
        fitted(tmp_path / "run", extra=[TensorBoard(tmp_path / "board")])
    assert len(list((tmp_path / "board").iterdir())) == 2


def test_without_its_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(ImportError, match=r"plaingrad\[tensorboard\]"):
        TensorBoard("board")
