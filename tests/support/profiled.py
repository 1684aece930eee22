"""A small network and its training, to be profiled."""

from __future__ import annotations

import numpy as np

import nn


def network():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 2))
    return model, np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.array([0, 1, 0, 1, 1])


def train(model, X, y, optimizer, steps=1):
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
