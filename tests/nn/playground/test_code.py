"""The code that the page shows: run by itself, it ends with the weights of the session, to the last bit."""

from __future__ import annotations

import contextlib
import io

import numpy as np
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from nn.playground.code import code_of
from nn.playground.session import STAGES, Session
from nn.playground.settings import Settings
from playgrounds import SMALL

DONE = st.lists(st.sampled_from([*STAGES, "batch", "epoch", 0.05, 0.5]), max_size=8)


@examples(max_examples=15)
@given(SMALL, DONE)
@example(Settings(batch=64), ["epoch", "batch", 0.5, "update", "loss"])  # in the middle of an epoch, and of a batch
def test_the_code_ends_with_the_weights_of_the_session(settings, done):
    session = Session(settings)
    for what in done:
        session.change_rate(what) if isinstance(what, float) else session.do(what)
    text, names = code_of(session), {}
    assert len([line for line in text.splitlines() if line]) <= 15 + 2 * (len(session.rates) > 1)
    with contextlib.redirect_stdout(io.StringIO()) as printed, np.errstate(all="ignore"):
        exec(text, names)
    mine, theirs = session.model.parameters(), names["model"].parameters()
    assert all(np.array_equal(p.data, q.data) for p, q in zip(mine, theirs, strict=True))
    word = "accuracy" if session.data.classes else "loss"
    assert printed.getvalue().startswith(f"held-out {word} ")
