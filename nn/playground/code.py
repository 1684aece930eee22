"""The program that does the same as a run of the playground, without the playground."""

from __future__ import annotations

from itertools import pairwise

from .session import Session
from .settings import ACTIVATIONS, OPTIMIZERS


def code_of(session: Session) -> str:
    """Return a program of about fifteen lines that ends with the same weights, to the last bit.

    >>> from nn.playground.settings import Settings
    >>> "nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)" in code_of(Session(Settings(hidden=(3,))))
    True
    """
    s, size = session.settings, session.settings.batch
    sizes = [2, *s.hidden, len(session.data.outputs)]
    linear = [f"nn.Linear({a}, {b})" for a, b in pairwise(sizes)]
    layers = f", nn.{ACTIVATIONS[s.activation].__name__}(), ".join(linear)
    _, kind, options = OPTIMIZERS[s.optimizer]
    given = {"lr": session.rates[0], **options} | ({"weight_decay": s.decay} if s.decay else {})
    said = "".join(f", {name}={value!r}" for name, value in given.items())
    loss = f"nn.functional.{'cross_entropy' if session.data.classes else 'mse_loss'}"
    epochs = session.epoch + (session.batch > 0)
    stop = "len(X)"
    if session.batch:  # the last epoch is not finished
        stop = f"{size * session.batch} if epoch == {session.epoch} else len(X)"
    rates = {step: lr for step, lr in session.rates.items() if step}
    lines = [
        "import nn",
        "from nn.playground.data import make",
        "",
        f'X, y, held_X, held_y = make("{s.data}", noise={s.noise}, seed={s.seed})',
        f"rng = nn.manual_seed({s.seed})",
        f"model = nn.Sequential({layers})",
        f"optimizer = nn.{kind.__name__}(model.parameters(){said})",
        "",
        *([f"rates, step = {rates}, 0  # when the learning rate was changed"] if rates else []),
        f"for epoch in range({epochs}):",
        "    order = rng.permutation(len(X))",
        f"    for start in range(0, {stop}, {size}):",
        f"        rows = order[start : start + {size}]",
        *(["        optimizer.lr, step = rates.get(step, optimizer.lr), step + 1"] if rates else []),
        f"        loss = {loss}(model(X[rows]), y[rows])  # forward, loss",
        "        optimizer.zero_grad()",
        "        loss.backward()  # d(loss)/d(weight) for every weight",
        "        optimizer.step()  # move every weight against its gradient",
        *(['print("held-out accuracy", nn.accuracy(model(held_X), held_y))'] if session.data.classes else
          [f'print("held-out loss", {loss}(model(held_X), held_y).item())']),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
