"""Messages: every one is answered, wrong ones change nothing, and a run waits for the page to draw."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import numpy as np
import pytest

import nn
from nn.playground.code import code_of
from nn.playground.conversation import PAUSE, Conversation, converse
from nn.playground.data import DATA
from nn.playground.session import STAGES


def asked(talk, **message):
    answers = talk.answer(message)
    assert not [a["error"] for a in answers if "error" in a]
    return json.loads(json.dumps({k: v for a in answers for k, v in a.items()}, allow_nan=False))


@pytest.mark.parametrize("lr", [0.1, 1000.0])  # with the second, the loss is soon no number
@pytest.mark.parametrize("data", DATA)
def test_every_stage_has_numbers_for_every_node_and_arrow(data, lr):
    talk = Conversation()
    asked(talk, do="start", settings={"data": data, "hidden": "3,2", "lr": lr, "activation": "relu", "decay": 0.01})
    sizes = [2, 3, 2, len(DATA[data].outputs)]
    for word in [*STAGES, "batch", "epoch", "epoch", "epoch", *STAGES]:
        frame = asked(talk, do=word)["frame"]
        assert [len(column["values"]) for column in frame["columns"]] == sizes
        assert all(len(base64.b64decode(plane)) == 32 * 32 for c in frame["columns"] for plane in c["planes"])
        assert [np.shape(layer["weight"]) for layer in frame["weights"]] == [(3, 2), (2, 3), (sizes[-1], 2)]
        assert frame["shown"]["inside"] == (word in STAGES[:3])
        slopes = [column["slopes"] and len(column["slopes"]) for column in frame["columns"]]
        assert slopes == ([None, *sizes[1:]] if word == "backward" else [None] * len(sizes))
        if word in ("backward", "update") and frame["finite"]:
            layer, shares = frame["weights"][0], frame["along"]["shares"]
            for old, rate, new, now in zip(*(np.ravel(layer["moved"][k][0]) for k in ("old", "rate", "new")),
                                           np.ravel(layer["weight"]), strict=True):  # fmt: skip
                assert now == (old if word == "backward" else new)
                assert new == pytest.approx(old - rate - 0.01 * lr * old, rel=1e-4, abs=1e-5)
            after = frame["along"]["step"][shares.index(1)]
            X, y = talk.session.X[talk.session.rows], talk.session.y[talk.session.rows]
            if word == "update":
                assert after == pytest.approx(talk.session.loss_of(talk.session.model(X), y).item(), rel=1e-4)


@pytest.mark.parametrize("stage", STAGES)
def test_a_new_learning_rate_leaves_the_numbers_of_a_step_that_was_taken(stage):
    talk = Conversation()
    asked(talk, do="batch")
    asked(talk, do=stage)
    frame = asked(talk, do="rate", lr=0.7)["frame"]
    for layer in frame["weights"]:
        old, gradient, rate, new = (np.ravel(layer["moved"][k][0]) for k in ("old", "gradient", "rate", "new"))
        np.testing.assert_allclose(new, old - rate, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(rate, (0.7 if stage == "backward" else 0.1) * gradient, rtol=1e-4, atol=1e-9)
    assert frame["lr"] == 0.7 and frame["rate"] == (0.7 if stage == "backward" else 0.1)


def test_another_sample_has_a_history_of_its_own():
    talk = Conversation()
    asked(talk, do="epoch")
    answer = asked(talk, do="follow", sample=5)
    first, *_, last = answer["frame"]["history"]
    assert answer["since"] == 0 and first["prediction"] == [None, None] and sum(last["prediction"]) == pytest.approx(1)


WRONG = [
    {}, [], None, "run", {"do": None}, {"do": "jump"}, {"do": ["run"]}, {"do": "start"}, {"do": "start", "settings": 3},
    {"do": "start", "settings": {"lr": "fast"}}, {"do": "rate"}, {"do": "rate", "lr": -1},
    {"do": "follow", "sample": 1e9}, {"do": "save", "name": "../model.npz"}, {"do": "save", "name": "model.pkl"},
    {"do": "pace", "pace": {}}, {"do": "pace", "pace": "warp"},
]  # fmt: skip


@pytest.mark.parametrize("message", WRONG, ids=repr)
def test_a_wrong_message_is_answered_by_an_error_and_changes_nothing(message):
    talk = Conversation()
    before, rows = code_of(talk.session), len(talk.session.history)
    (answer,) = talk.answer(message)
    assert answer.keys() == {"error"} and len(answer["error"]) < 300
    assert code_of(talk.session) == before and len(talk.session.history) == rows and not talk.running


def test_the_saved_model_is_the_model_and_the_saved_page_holds_it(tmp_path):
    talk = Conversation()
    asked(talk, do="start", settings={"data": "xor"})
    asked(talk, do="epoch")
    for name in ("model.npz", "model.safetensors"):
        path = tmp_path / name
        path.write_bytes(base64.b64decode(asked(talk, do="save", name=name)["file"]["content"]))
        saved = nn.load(path)
        assert all(np.array_equal(saved[key], value) for key, value in talk.session.model.state_dict().items())
    page = base64.b64decode(asked(talk, do="save", name="playground.html")["file"]["content"]).decode()
    held = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert held["frame"]["epoch"] == 1 and held["code"] == code_of(talk.session)
    assert "default-src 'none'" in page and "connect-src" not in page and len(page) < 250_000


def test_a_run_waits_until_its_last_picture_is_drawn_and_ends_with_the_page(monkeypatch):
    for pace in PAUSE:
        monkeypatch.setitem(PAUSE, pace, 0)

    async def page():
        inbox, answers = asyncio.Queue(), asyncio.Queue()
        talking = asyncio.create_task(converse(inbox, answers.put))
        inbox.put_nowait({"do": "run"})
        epochs = []
        for pace in ["normal", "slow", "fast", "normal"]:
            inbox.put_nowait({"do": "pace", "pace": pace})
            answer = await answers.get()
            while "frame" not in answer:
                answer = await answers.get()
            epochs.append(answer["frame"]["epoch"])
            for _ in range(20):
                await asyncio.sleep(0)  # it could go on, and does not
            assert answers.empty()
            inbox.put_nowait({"do": "seen"})
        inbox.put_nowait(None)
        await talking
        return epochs

    epochs = asyncio.run(page())
    assert epochs == sorted(epochs) and epochs[-1] > epochs[0]


def test_a_run_stops_when_the_loss_is_no_number():
    talk = Conversation()
    asked(talk, do="start", settings={"data": "regression", "lr": 1000, "activation": "none", "optimizer": "momentum"})
    asked(talk, do="run")
    for _ in range(60):
        if not talk.running:
            break
        answer = talk.advance()
    assert answer["running"] is False and not answer["frame"]["finite"]
