"""A killed run resumes and ends with the same bits; TensorBoard reads the event files."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import nn
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


def test_the_best_model_is_kept(tmp_path):
    _, history = fitted(tmp_path)
    model = nn.Linear(2, 1)
    nn.load(tmp_path / "best.npz", model)
    assert history["loss"][-1] == min(history["loss"]) and np.isfinite(model.weight.data).all()


def test_a_checkpoint_of_another_run_is_refused_before_anything_changes(tmp_path):
    fitted(tmp_path)
    other = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = other[0].weight.data
    with pytest.raises(ValueError, match="does not fit"):
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


def test_packing_keeps_numbers_exactly():
    tree = {
        "pi": 0.1 + 0.2,
        "big": 2**127 + 1,
        "none": None,
        "inf": float("inf"),
        "list": [{"a": np.float32(0.1)}, "x"],
    }
    back = unpack(pack(tree))
    assert back["list"][0]["a"] == np.float32(0.1)
    assert {k: v for k, v in back.items() if k != "list"} == {k: v for k, v in tree.items() if k != "list"}


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
