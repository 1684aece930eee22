"""Every layer, loss, optimiser and way of training, on arrays of another library beside NumPy's.

A task gives numbers; it is done where those of a model on the device are NumPy's.  `python tests/support/foreign_nn.py`
prints the count of docs/arrays.md.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import foreign
import nn
from autograd import Tensor, libraries, to
from layer_kinds import KINDS, call, total
from optimisers import EVERY, made

libraries.LIKE_SCIPY["foreign"] = "foreignx"
X, Y = np.random.default_rng(0).normal(size=(8, 4)), np.array([0, 1, 2, 0, 1, 2, 0, 1])
LOGITS = np.random.default_rng(1).normal(size=(6, 3))
P, T = np.linspace(0.1, 0.9, 18).reshape(6, 3), np.linspace(0.9, 0.2, 18).reshape(6, 3)
SIGNS, LABELS = np.array([1, -1, 1, 1, -1, -1]), np.array([0, 2, 1, 1, 0, 2])
LOSSES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "PoissonNLLLoss"), (LOGITS, T)),
    **dict.fromkeys(("CrossEntropyLoss", "MultiMarginLoss"), (LOGITS, LABELS)),
    "NLLLoss": (np.log(P / P.sum(1, keepdims=True)), LABELS),
    "BCELoss": (P, T),
    "BCEWithLogitsLoss": (LOGITS, T),
    "KLDivLoss": (np.log(P / P.sum(1, keepdims=True)), T),
    "GaussianNLLLoss": (LOGITS, T, P),
    "SoftMarginLoss": (LOGITS[:, 0], SIGNS),
    "HingeEmbeddingLoss": (LOGITS[:, 0], SIGNS),
    "CosineEmbeddingLoss": (LOGITS, T, SIGNS),
    "MarginRankingLoss": (LOGITS[:, 0], T[:, 0], SIGNS),
    "MultiLabelSoftMarginLoss": (LOGITS, (T > 0.5).astype(float)),
    "TripletMarginLoss": (LOGITS, T, P),
}
Task = Callable[[Any], Any]
TASKS: dict[str, Task] = {}


def task(name: str) -> Callable[[Task], Task]:
    return lambda function: TASKS.setdefault(name, function)


def _layer(kind: str) -> Task:
    def run(library: Any) -> Any:
        layer = KINDS[kind].layer().to(library)
        inputs = [Tensor(to(x, library), requires_grad=True) for x in KINDS[kind].inputs()]
        nn.manual_seed(1)
        total(kind, layer, inputs).backward()
        nn.manual_seed(1)
        return [*call(kind, layer, inputs), *(x.grad for x in inputs), *(p.grad for p in layer.parameters())]

    return run


def _loss(name: str) -> Task:
    def run(library: Any) -> Any:
        x, *rest = (to(a, library) for a in LOSSES[name])
        leaf = Tensor(x, requires_grad=True)
        loss = getattr(nn, name)()(leaf, *rest)
        loss.backward()
        return [loss, leaf.grad]

    return run


def _optimiser(name: str, options: dict[str, Any]) -> Task:
    def run(library: Any) -> Any:
        model = _model().to(library)
        optimizer = made(name, options, model.parameters())
        x, y = to(X, library), to(Y, library)

        def closure() -> Any:
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
        saved = optimizer.state_dict()
        optimizer.load_state_dict(saved)
        optimizer.step(closure)
        return [p.data for p in model.parameters()]

    return run


def _model() -> Any:
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


TASKS |= {f"layer {kind}": _layer(kind) for kind in KINDS}
TASKS |= {f"loss {name}": _loss(name) for name in LOSSES}
TASKS |= {
    f"optimiser {name} {i}": _optimiser(name, options) for i, (name, options) in enumerate([*EVERY, ("LBFGS", {})])
}


@task("activations")
def _activations(library: Any) -> Any:
    names = "relu leaky_relu elu celu selu gelu silu mish softplus sigmoid tanh softmax log_softmax hardtanh relu6"
    x = Tensor(to(X, library), requires_grad=True)
    made = [getattr(nn.functional, name)(x) for name in names.split() if hasattr(nn.functional, name)]
    sum(y.sum() * k for k, y in enumerate(made, 1)).backward()
    return [*made, x.grad]


@task("embedding")
def _embedding(library: Any) -> Any:
    nn.manual_seed(0)
    layer = nn.Embedding(5, 3, padding_idx=1).to(library)
    (layer(to(Y, library)) * 2.0).sum().backward()
    return [layer.weight.grad]


@task("causal attention")
def _causal(library: Any) -> Any:
    x = Tensor(to(X.reshape(2, 4, 4), library), requires_grad=True)
    y = nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    (y * y).sum().backward()
    return [y, x.grad]


@task("fit")
def _fit(library: Any) -> Any:
    model = _model().to(library)
    nn.manual_seed(1)
    history = nn.fit(model, X, Y, epochs=3, batch_size=3, validation=0.25, metrics=["accuracy"], progress=False)
    assert all(p.data.__class__ is to(X, library).__class__ for p in model.parameters()), "a weight was moved"
    return [*model.state_dict().values(), *(np.array(history[name]) for name in ("loss", "val_loss", "accuracy"))]


@task("fit of the device's arrays")
def _fit_there(library: Any) -> Any:
    model = _model().to(library)
    nn.manual_seed(1)
    nn.fit(model, to(X, library), to(Y, library), epochs=2, batch_size=3, progress=False)
    return [*model.state_dict().values()]


@task("predict and evaluate")
def _predict(library: Any) -> Any:
    model = _model().to(library)
    found = nn.evaluate(model, X, Y, loss=nn.CrossEntropyLoss(), metrics=["accuracy"])
    return [nn.predict(model, X), nn.predict_proba(model, X), np.array([*found.values()])]


@task("save and load")
def _save(library: Any) -> Any:
    model, other = _model().to(library), nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with tempfile.TemporaryDirectory() as folder:
        nn.save(model, f"{folder}/model.npz")
        nn.load(f"{folder}/model.npz", other.to(library))
    assert all(p.data.__class__ is to(X, library).__class__ for p in other.parameters()), "a weight was moved"
    return [*other.state_dict().values()]


@task("load a state of the host")
def _load(library: Any) -> Any:
    model, state = _model().to(library), _model().state_dict()
    model.load_state_dict(state)
    model[0].weight.assign(np.ones((5, 4)))
    nn.init.zeros_(model[0].bias)
    nn.manual_seed(3)
    nn.init.normal_(model[2].weight)
    assert all(p.data.__class__ is to(X, library).__class__ for p in model.parameters()), "a weight was moved"
    return [*model.state_dict().values()]


@task("clipping")
def _clip(library: Any) -> Any:
    model = _model().to(library)
    nn.CrossEntropyLoss()(model(to(X, library)), to(Y, library)).backward()
    norm = nn.clip_grad_norm_(model.parameters(), 0.1)
    nn.clip_grad_value_(model.parameters(), 0.01)
    return [norm, *(p.grad for p in model.parameters())]


def numbers(results: Any) -> list[Any]:
    """The arrays of results, in memory."""
    flat = [x.data if isinstance(x, Tensor) else x for x in results if x is not None]
    return [x._a if isinstance(x, foreign.ndarray) else np.asarray(x) for x in flat]


def check(name: str) -> None:
    """Raise an error unless a task gives NumPy's numbers on the device."""
    for a, b in zip(numbers(TASKS[name](foreign)), numbers(TASKS[name](np)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def failures() -> dict[str, str]:
    """{task: why it is not done}."""
    found = {}
    for name in TASKS:
        try:
            check(name)
        except Exception as error:  # whatever it is, it is counted
            found[name] = f"{type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = failures()
    print(f"tasks of nn: {len(TASKS) - len(found)} of {len(TASKS)}")
    if "-v" in sys.argv:
        for name, why in found.items():
            print("   ", name, why.replace("\n", " ")[:170])
