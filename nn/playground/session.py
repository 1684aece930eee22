"""A run of the playground: the real engine, which stops between the steps of a batch when it is asked to."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from autograd import Tensor, no_grad

from ..containers import Sequential
from ..functional import softmax
from ..inference import accuracy
from ..layers import Linear
from ..losses import CrossEntropyLoss, MSELoss
from .data import DATA, make
from .settings import ACTIVATIONS, OPTIMIZERS, Settings

STAGES = ("forward", "loss", "backward", "update")
SHARES = np.linspace(-0.25, 1, 26)  # where the loss along a step is measured, over how far the picture reaches


class Session:
    """Data, a network and an optimiser, made from `settings` and moved by `do`.

    `stage` is the last step that was done inside the batch; "update" means that the batch is finished.  `epoch` counts
    whole epochs and `batch` whole batches of the epoch that is under way.  `history` has a row of measures for the
    start, for every epoch, and for every batch after which somebody looked.

    >>> session = Session(Settings(data="xor", lr=0.5))
    >>> for epoch in range(30):
    ...     session.do("epoch")
    >>> session.epoch, session.history[-1]["accuracy"] > 0.9
    (30, True)
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.data = DATA[settings.data]
        self.X, self.y, self.held_X, self.held_y = make(settings.data, settings.noise, settings.seed)
        self.rng = np.random.default_rng(settings.seed)
        self.model = self._network(self.rng)
        self.probe = self._network(np.random.default_rng(0))  # takes other weights on trial
        _, kind, options = OPTIMIZERS[settings.optimizer]
        params: Any = self.model.parameters()
        self.optimizer: Any = kind(params, lr=settings.lr, weight_decay=settings.decay, **options)
        self.loss_of = CrossEntropyLoss() if self.data.classes else MSELoss()
        self.followed = settings.follow
        if self.followed < 0:
            self.followed = int(np.flatnonzero(self.held_y == 0)[0]) if self.data.classes else 0
        self.batches = -(-len(self.X) // settings.batch)
        self.epoch = self.batch = 0
        self.rates = {0: settings.lr}  # {number of the batch from which on: learning rate}
        self.stage = "update"
        self.rows = np.arange(0)  # the samples of the last batch
        self.sums: list[Tensor] = []  # weighted sums of the last batch, and d(loss)/d(sum), one for each layer
        self.slopes: list[Any] = []
        self.loss: Any = None
        self.before: list[Any] = []  # weights, gradients and new weights of the last batch, one for each parameter
        self.gradients: list[Any] = []
        self.after: list[Any] = []
        self.rate = settings.lr  # the learning rate of that batch
        self.history: list[dict[str, Any]] = []
        self._look()

    def _network(self, rng: np.random.Generator) -> Sequential:
        sizes = [2, *self.settings.hidden, len(self.data.outputs)]
        layers: list[Any] = []
        for a, b in pairwise(sizes):
            layers += [Linear(a, b, generator=rng), ACTIVATIONS[self.settings.activation]()]
        return Sequential(*layers[:-1])

    # ---- what is done

    @property
    def steps(self) -> int:
        """The number of whole batches so far."""
        return self.epoch * self.batches + self.batch

    @property
    def finite(self) -> bool:
        """Whether the loss is still a number."""
        return bool(np.isfinite(self.history[-1]["loss"]))

    def do(self, what: str) -> None:
        """Go on to a stage of the batch ("forward", "loss", "backward", "update"), or finish a "batch" or an "epoch".

        A stage that is not after the present one is that of the next batch.  Raises ValueError for other words.
        """
        if what not in (*STAGES, "batch", "epoch"):
            raise ValueError(f"a session can do {', '.join(STAGES)}, batch and epoch; got {what!r:.40}")
        with np.errstate(all="ignore"):  # a run may diverge: that is a lesson too
            if what == "epoch":
                epoch = self.epoch
                while self.epoch == epoch:
                    self._finish_batch()
            elif what == "batch":
                self._finish_batch()
            else:
                self._next_stage()
                while self.stage != what:
                    self._next_stage()
            if self.stage == "update":
                self._look()

    def change_rate(self, lr: float) -> None:
        """Take another learning rate from the next update on.  Raises ValueError for one that is out of range."""
        self.optimizer.lr = Settings.of({"lr": lr}).lr
        self.rates[self.steps] = self.optimizer.lr
        if self.stage == "backward":
            self.rate, self.after = self.optimizer.lr, []

    def _finish_batch(self) -> None:
        self._next_stage()
        while self.stage != "update":
            self._next_stage()

    def _next_stage(self) -> None:
        stage = STAGES[(STAGES.index(self.stage) + 1) % len(STAGES)]
        getattr(self, f"_{stage}")()
        self.stage = stage

    def _forward(self) -> None:
        if self.batch == 0:
            self.order = self.rng.permutation(len(self.X))
        size = self.settings.batch
        self.rows = self.order[self.batch * size : (self.batch + 1) * size]
        h, self.sums = self.X[self.rows], []
        for layer in self.model:
            h = layer(h)
            if isinstance(layer, Linear):
                self.sums.append(h)

    def _loss(self) -> None:
        self.loss = self.loss_of(self.sums[-1], self.y[self.rows])

    def _backward(self) -> None:
        self.optimizer.zero_grad()
        found: dict[int, Any] = {}
        for i, z in enumerate(self.sums):
            z.register_hook(lambda g, i=i: found.__setitem__(i, g.data))  # type: ignore[misc]
        self.loss.backward()
        self.slopes = [found[i] for i in range(len(self.sums))]
        self.before = [p.data for p in self.optimizer.params]
        self.gradients = [p.grad.data for p in self.optimizer.params]
        self.rate, self.after = self.optimizer.lr, []

    def _update(self) -> None:
        self.optimizer.step()
        self.after = [p.data for p in self.optimizer.params]
        self.batch += 1
        if self.batch == self.batches:
            self.epoch, self.batch = self.epoch + 1, 0

    # ---- what is measured

    def rehearsed(self) -> list[Any]:
        """Return the new weights of the last batch; before the update, take the step on trial and take it back."""
        if not self.after:
            optimizer = self.optimizer
            state, used = optimizer.state, optimizer.used
            with np.errstate(all="ignore"):
                optimizer.step()
            self.after = [p.data for p in optimizer.params]
            for p, w in zip(optimizer.params, self.before, strict=True):
                p.assign(w)
            optimizer.state, optimizer.used = state, used
        return self.after

    def columns(self, x: Any) -> list[tuple[Any, Any]]:
        """Return (weighted sums, activations) of every layer for points x (n, 2); the inputs have no sums.

        The activations of the outputs are probabilities, where labels are classes.
        """
        sums, values = [None], [x]
        with no_grad(), np.errstate(all="ignore"):
            for layer in self.model:
                x = layer(x)
                if isinstance(layer, Linear):
                    sums.append(x.data)
                    values.append(x.data)
                else:
                    values[-1] = x.data
            if self.data.classes:
                values[-1] = softmax(x, dim=-1).data
        return list(zip(sums, values, strict=True))

    def measure(self, X: Any, y: Any) -> tuple[float, float]:
        """Return the loss, and the accuracy, or for numbers the share of the variance that is explained."""
        with no_grad(), np.errstate(all="ignore"):
            scores = self.model(X)
            loss = self.loss_of(scores, y).item()
        score = accuracy(scores, y) if self.data.classes else 1 - loss / float(np.var(y))
        return loss, score

    def along(self, directions: list[Any], shares: Any) -> Any:
        """Return the loss of the last batch at `before + share * directions`, for all `shares` (n,)."""
        X, y, found = self.X[self.rows], self.y[self.rows], []
        with no_grad(), np.errstate(all="ignore"):
            for share in shares.astype(np.float32):
                for p, w, d in zip(self.probe.parameters(), self.before, directions, strict=True):
                    p.assign(w + share * d)
                found.append(self.loss_of(self.probe(X), y).item())
        return np.array(found)

    def reach(self, directions: list[Any]) -> float:
        """Return how many steps ahead are worth a look: 2, 4, 8 or 16, the first at which the loss rises again."""
        reaches = np.array([0.0, 2.0, 4.0, 8.0, 16.0])
        risen = ~(np.diff(self.along(directions, reaches)) < 0)
        return float(reaches[1:][risen][0]) if risen.any() else 16.0

    def follow(self, sample: int) -> None:
        """Follow another held-out sample; the history forgets the predictions for the one before.

        Raises ValueError for a sample that there is not.
        """
        self.followed = max(0, Settings.of({"follow": sample}).follow)
        for row in self.history:
            row["prediction"] = [float("nan")] * len(row["prediction"])
        self._look()

    def _look(self) -> None:
        """Add a row to the history, or replace that of the same moment."""
        (loss, score), (held_loss, held_score) = self.measure(self.X, self.y), self.measure(self.held_X, self.held_y)
        followed = self.columns(self.held_X[self.followed : self.followed + 1])[-1][1][0]
        row: dict[str, Any] = {
            "epoch": self.steps / self.batches,
            "loss": loss,
            "held loss": held_loss,
            "accuracy": score,
        }
        row |= {"held accuracy": held_score, "prediction": [float(p) for p in followed]}
        if self.history and self.history[-1]["epoch"] == row["epoch"]:
            self.history.pop()
        self.history.append(row)
