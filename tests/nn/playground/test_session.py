"""The session: however a run is cut into steps, the numbers are those of the run; and it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from nn.playground.data import DATA
from nn.playground.session import STAGES, Session
from nn.playground.settings import Settings
from playgrounds import SMALL


def weights(session):
    return [p.data for p in session.model.parameters()]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@examples(max_examples=12)
@given(SMALL, st.lists(st.sampled_from([*STAGES, "batch"]), max_size=12))
def test_steps_inside_a_batch_make_the_same_run_as_epochs(settings, words):
    whole, cut, other = Session(settings), Session(settings), Session(replace(settings, seed=9))
    for word in words:
        cut.do(word)
        cut.rehearsed() if cut.stage == "backward" else None
        other.do(word)  # another tab
    while cut.stage != "update" or cut.batch:
        cut.do("batch")
    while whole.epoch < cut.epoch:
        whole.do("epoch")
    assert same(weights(whole), weights(cut))


@examples(max_examples=12)
@given(SMALL)
def test_the_new_weights_shown_before_the_update_are_those_after_it(settings):
    session = Session(settings)
    for _ in range(3):
        session.do("backward")
        old, shown = weights(session), session.rehearsed()
        assert same(weights(session), old) and same(session.before, old)
        session.do("update")
        assert same(weights(session), shown)
        if settings.optimizer == "sgd" and not settings.decay:
            for w, g, new in zip(old, session.gradients, shown, strict=True):
                np.testing.assert_allclose(new, w - settings.lr * g, rtol=1e-6, atol=1e-7)


@examples(max_examples=12)
@given(SMALL)
def test_gradients_are_the_slopes_of_the_loss_that_is_shown(settings):
    session = Session(replace(settings, activation="tanh"))
    session.do("backward")
    rng = np.random.default_rng(0)
    directions = [rng.normal(size=g.shape).astype(np.float32) for g in session.gradients]
    low, now, high = session.along(directions, np.array([-1e-2, 0, 1e-2]))
    assert now == session.loss.item()
    wanted = sum(float(np.sum(g * d)) for g, d in zip(session.gradients, directions, strict=True))
    assert (high - low) / 2e-2 == pytest.approx(wanted, rel=0.02, abs=2e-3)
    # d(loss)/d(sum) of a batch, summed over its samples, is the gradient of the bias
    for slope, bias in zip(session.slopes, session.gradients[1::2], strict=True):
        np.testing.assert_allclose(slope.sum(axis=0), bias, rtol=1e-4, atol=1e-6)


@examples(max_examples=12)
@given(SMALL)
def test_values_on_the_nodes_are_those_of_the_model(settings):
    session = Session(settings)
    session.do("batch")
    (_, x), *columns = session.columns(session.held_X)
    for (sums, values), w, b in zip(columns, weights(session)[::2], weights(session)[1::2], strict=True):
        np.testing.assert_allclose(sums, x @ w.T + b, rtol=1e-4, atol=1e-5)
        x = values
    if session.data.classes:
        shares = np.exp(sums - sums.max(axis=1, keepdims=True))
        np.testing.assert_allclose(values, shares / shares.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("data", DATA)
def test_a_network_learns_every_data_set_and_the_followed_sample_moves(data):
    fast = {"spirals": {"hidden": (8, 8), "optimizer": "adam", "lr": 0.03, "noise": 0.0}}.get(data, {"lr": 0.3})
    session = Session(replace(Settings(data=data, activation="tanh"), **fast))
    for _ in range(60 if data == "spirals" else 30):
        session.do("epoch")
    first, last = session.history[0], session.history[-1]
    assert last["held accuracy"] > (0.75 if data in ("spirals", "regression") else 0.9)
    assert last["held loss"] < first["held loss"]
    if session.data.classes and data != "spirals":
        assert session.held_y[session.followed] == 0
        assert last["prediction"][0] > max(0.7, first["prediction"][0])  # it moves to [1, 0]


def test_a_run_that_diverges_says_so_and_goes_on():
    session = Session(Settings(data="regression", lr=1000.0, activation="none"))
    for _ in range(20):
        session.do("epoch")
    assert not session.finite and session.epoch == 20


def test_another_rate_and_another_sample_are_taken_at_once():
    session = Session(Settings())
    session.do("backward")
    slow = session.rehearsed()
    session.change_rate(1.0)
    assert not same(session.rehearsed(), slow)
    session.do("epoch")
    session.follow(7)
    assert session.followed == 7 and np.isnan(session.history[0]["prediction"]).all()
    assert np.isfinite(session.history[-1]["prediction"]).all()
    for wrong in (0, -1, float("nan"), "fast"):
        with pytest.raises(ValueError, match="lr is a number above 0"):
            session.change_rate(wrong)
    with pytest.raises(ValueError, match="follow is the number of a held-out sample"):
        session.follow(1000)
    with pytest.raises(ValueError, match="can do forward, loss, backward, update, batch and epoch; got 'jump'"):
        session.do("jump")
