"""The widget of a notebook: its messages are answered by a session that trains in the loop of the kernel."""

from __future__ import annotations

import asyncio

import pytest

import nn.playground
from nn.playground.settings import Settings


def test_a_widget_answers_messages_and_stops_when_it_is_closed(monkeypatch):
    widget = nn.playground.widget(data="xor", lr=0.3)
    other = nn.playground.widget()
    assert '"data":"xor"' in widget.page and widget.page != other.page
    assert "export default" in str(widget._esm)
    answers = asyncio.Queue()
    monkeypatch.setattr(type(widget), "send", lambda self, answer: answers.put_nowait((self, answer)))

    async def kernel():
        widget._handle_custom_msg({"do": "start", "settings": Settings(data="xor").address()}, [])
        widget._handle_custom_msg({"do": "run"}, [])
        epoch = 0
        while epoch < 3:
            who, answer = await answers.get()
            assert who is widget
            epoch = answer.get("frame", {}).get("epoch", 0)
            widget._handle_custom_msg({"do": "seen"}, [])
        widget.close()
        await asyncio.wait_for(widget.talking, 30)

    asyncio.run(kernel())
    assert other.talking is None


def test_settings_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="no setting 'learning_rate'; there are data"):
        nn.playground.widget(learning_rate=0.1)
