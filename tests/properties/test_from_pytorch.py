"""One script, two libraries: after changing the import lines the losses are the same; and weights go both ways."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import autograd
import nn
import nn.elsewhere
from autograd import Tensor
from autograd.elsewhere import KEYWORDS, MODULE, TENSOR

SCRIPT = """
{imports}

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(4, width)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(2)])
        self.gate = nn.PReLU()
        self.out = nn.Linear(width, 3)

    def forward(self, x):
        x = F.silu(self.norm(self.inner(x)))
        for block in self.blocks:
            x = x + block(x)
        return self.out(self.gate(x))

model = Net(8).double()
state = model.state_dict()
model.load_state_dict({{name: array(start[name]) for name in state}})
loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.01)
schedule = optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
losses = []
loader = DataLoader(TensorDataset(array(X), array(y)), batch_size=10)
for epoch in range(8):
    model.train()
    for x, target in loader:
        optimizer.zero_grad()
        loss = loss_of(model(x), target)
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    schedule.step()
    model.eval()
    with no_grad():
        losses.append(F.mse_loss(F.softmax(model(array(X)), -1)[:, 0], array(X)[:, 0]).item())
rates = [group["lr"] for group in optimizer.param_groups]
"""

THEIRS = """
import torch
from torch import nn, optim, no_grad
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, TensorDataset
array = torch.tensor
"""

OURS = """
import numpy as np
import nn
from nn import optim
from autograd import no_grad
import nn.functional as F
from nn import clip_grad_norm_
from nn import DataLoader, TensorDataset
array = np.asarray
"""


def shapes():
    width = 8
    found = {"inner.weight": (width, 4), "inner.bias": (width,), "norm.weight": (width,), "norm.bias": (width,)}
    for i in range(2):
        found |= {f"blocks.{i}.0.weight": (width, width), f"blocks.{i}.0.bias": (width,)}
    return found | {"gate.weight": (1,), "out.weight": (3, width), "out.bias": (3,)}


def ran(imports):
    rng = np.random.default_rng(0)
    space = {
        "X": rng.normal(size=(40, 4)),
        "y": rng.integers(0, 3, 40),
        "start": {name: rng.normal(size=shape) * 0.5 for name, shape in shapes().items()},
    }
    exec(SCRIPT.format(imports=imports), space)
    return space


def test_one_script_under_both_has_the_same_losses():
    pytest.importorskip("torch")
    theirs, ours = ran(THEIRS), ran(OURS)
    assert len(ours["losses"]) == 8 * 5
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=1e-9)
    assert ours["rates"] == pytest.approx(theirs["rates"])
    for name, parameter in theirs["model"].named_parameters():
        np.testing.assert_allclose(ours["model"].state_dict()[name], parameter.detach().numpy(), rtol=1e-8, atol=1e-12)


def test_our_side_of_the_script_runs_without_pytorch():
    ours = ran(OURS)
    assert ours["losses"][-2] < ours["losses"][0]


def make(library):
    return library.Sequential(library.Linear(5, 7), library.ReLU(), library.LayerNorm(7), library.Linear(7, 2))


def test_weights_go_both_ways_as_safetensors(tmp_path):
    torch = pytest.importorskip("torch")
    files = pytest.importorskip("safetensors.torch")
    theirs, ours = make(torch.nn), make(nn)
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    files.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    nn.load(tmp_path / "theirs.safetensors", ours)
    with torch.no_grad():
        np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x)).numpy(), rtol=1e-5, atol=1e-6)
    nn.manual_seed(5)
    ours = make(nn)
    nn.save(ours, tmp_path / "ours.safetensors")
    theirs.load_state_dict(files.load_file(tmp_path / "ours.safetensors"))
    with torch.no_grad():
        np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x)).numpy(), rtol=1e-5, atol=1e-6)


def test_the_names_in_the_table_exist():
    text = (Path(__file__).parents[2] / "docs/from_pytorch.md").read_text()
    for name in re.findall(r"`nn\.(\w+)", text):
        if name not in ("utils", "Module"):
            assert hasattr(nn, name) or name in text.partition("| here |")[0], name


# ---- habits that have other names here

NET = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
ROWS = nn.TensorDataset(np.zeros((4, 3), np.float32), np.zeros(4, int))
GRID = Tensor([[3.0, 1.0, 2.0]], requires_grad=True)

# Where each table is read, and how a name of it is tried.
TRIED = {
    "a Tensor": (TENSOR, AttributeError, lambda name: getattr(GRID, name)),
    "autograd": (MODULE, AttributeError, lambda name: getattr(autograd, name)),
    "nn": (nn.elsewhere.NAMES, AttributeError, lambda name: getattr(nn, name)),
    "a Module": (nn.elsewhere.MODULE, AttributeError, lambda name: getattr(NET, name)),
    "DataLoader": (nn.elsewhere.LOADER, TypeError, lambda name: nn.DataLoader(ROWS, **{name: 1})),
    "fit": (nn.elsewhere.FIT, TypeError, lambda name: nn.fit(NET, ROWS, **{name: 1})),
    "summary": (nn.elsewhere.SUMMARY, TypeError, lambda name: nn.summary(NET, **{name: (4, 3)})),
    "EarlyStopping": (nn.elsewhere.STOPPING, TypeError, lambda name: nn.EarlyStopping(**{name: True})),
    "a plateau": (nn.elsewhere.PLATEAU, TypeError, lambda name: nn.ReduceLROnPlateau(None, **{name: True})),
    "to": (nn.elsewhere.TO, TypeError, lambda name: NET.to(np.float64, **{name: "cpu"})),
    "argmax": (KEYWORDS, TypeError, lambda name: GRID.argmax(**{name: 1})),
    "sort": (KEYWORDS, TypeError, lambda name: GRID.sort(**{name: 1})),
}
HABITS = [(where, name) for where, (table, *_) in TRIED.items() for name in table]


@pytest.mark.parametrize(("where", "name"), HABITS)
def test_every_habit_is_answered_with_what_to_write(where, name):
    table, kind, tried = TRIED[where]
    with pytest.raises(kind) as error:
        tried(name)
    assert repr(name) in str(error.value) and str(error.value).endswith(table[name])
    modules = {"np": np, "autograd": autograd, "nn": nn, "optim": nn.optim, "copy": importlib.import_module("copy")}
    for text in re.findall(r"\b(?:np|autograd|nn|optim|copy)(?:\.[A-Za-z_]\w*)+", table[name]):
        found = modules[text.partition(".")[0]]
        for part in text.split(".")[1:]:
            if part == "sklearn":
                break
            assert hasattr(found, part), f"the hint for {name} names {text}"
            found = getattr(found, part)
    for attribute in re.findall(r"\bt\.([A-Za-z_]\w*)", table[name]):
        assert hasattr(GRID, attribute), f"the hint for {name} names t.{attribute}"
    for attribute in re.findall(r"\bmodel\.([A-Za-z_]\w*)", table[name]):
        assert hasattr(NET, attribute), f"the hint for {name} names model.{attribute}"


@pytest.mark.parametrize(("where", "name"), [habit for habit in HABITS if habit[0] in ("a Tensor", "nn", "autograd")])
def test_a_hint_hides_no_name_of_ours(where, name):
    assert name not in {"a Tensor": dir(GRID), "nn": nn.__all__, "autograd": dir(autograd)}[where]
    assert where != "a Tensor" or name not in dir(np.ndarray) or name in ("view", "fill", "device")


def test_attributes_of_a_module_may_have_these_names():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cpu = nn.Linear(3, 3)
            self.fit = nn.ModuleDict({"half": nn.Linear(3, 2)})

        def predict(self, x):
            return self.fit["half"](self.cpu(x))

    net = Net()
    assert net.predict(np.zeros((1, 3))).shape == (1, 2)
    assert set(net.state_dict()) == {"cpu.weight", "cpu.bias", "fit.half.weight", "fit.half.bias"}
    assert not hasattr(NET, "cpu") and hasattr(net, "cpu")
    assert {"cpu", "fit", "predict"} <= set(dir(net)) and not {*nn.elsewhere.MODULE} & {*dir(NET)}


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:0", "mps"])
def test_a_device_is_refused_where_a_dtype_is_needed(device):
    with pytest.raises(TypeError, match=f"model.to.cupy.*got the device '{device}'"):
        NET.to(device)


def test_other_calls_say_what_to_write():
    for call in (lambda: nn.summary(NET), lambda: nn.summary(NET, (4, 3))):
        with pytest.raises(TypeError, match="summary takes a batch, not its shape"):
            call()
    for module in (nn, autograd):
        with pytest.raises(AttributeError, match=r"has no attribute 'nonsense'$"):
            module.nonsense  # noqa: B018
