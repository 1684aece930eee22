"""Every schedule, and a user's callback, for the tests of runs."""

from __future__ import annotations

import numpy as np

import nn

SCHEDULES = {
    "StepLR": lambda o: nn.StepLR(o, 1, 0.5),
    "MultiStepLR": lambda o: nn.MultiStepLR(o, [1, 2], 0.5),
    "ExponentialLR": lambda o: nn.ExponentialLR(o, 0.5),
    "LinearLR": lambda o: nn.LinearLR(o, total_iters=3),
    "CosineAnnealingLR": lambda o: nn.CosineAnnealingLR(o, 9),
    "OneCycleLR": lambda o: nn.OneCycleLR(o, 0.1, 9, cycle_momentum=has_momentum(o)),
    "CyclicLR": lambda o: nn.CyclicLR(o, 0.01, 0.1, 2, cycle_momentum=has_momentum(o)),
    "CosineAnnealingWarmRestarts": lambda o: nn.CosineAnnealingWarmRestarts(o, 2),
    "ConstantLR": lambda o: nn.ConstantLR(o, total_iters=2),
    "PolynomialLR": lambda o: nn.PolynomialLR(o, 6),
    "LambdaLR": lambda o: nn.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "MultiplicativeLR": lambda o: nn.MultiplicativeLR(o, lambda epoch: 0.9),
    "ChainedScheduler": lambda o: nn.ChainedScheduler([nn.ConstantLR(o, 0.5, 2), nn.ExponentialLR(o, 0.5)]),
    "SequentialLR": lambda o: nn.SequentialLR(o, [nn.LinearLR(o), nn.ExponentialLR(o, 0.5)], [2]),
    "ReduceLROnPlateau": lambda o: nn.ReduceLROnPlateau(o, patience=0, threshold=0.9),
}


def has_momentum(optimizer):
    return bool({"momentum", "betas"} & optimizer.defaults.keys())


class Counts(nn.Callback):
    """A user's callback with a state of its own kinds."""

    def __init__(self, limit=3):
        self.limit = limit
        self.seen, self.worst, self.by_epoch = (0,), None, {}

    def on_epoch_end(self, run):
        self.seen = (*self.seen, run.epoch)
        self.worst = max(self.worst or 0.0, run.history["loss"][-1])
        self.by_epoch[run.epoch] = np.float32(run.history["loss"][-1])
        return "these are enough" if run.epoch == self.limit else None

    def state_dict(self):
        return {"seen": self.seen, "worst": self.worst, "by_epoch": self.by_epoch}
