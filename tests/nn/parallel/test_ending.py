"""How ranks wait for each other, and what ends them."""

from __future__ import annotations

import atexit
import os
import sys
import threading

import pytest

from nn.parallel import ending


class Alone:
    """Rank 0 of two; the other one comes when `here` is set."""

    rank, size = 0, 2

    def __init__(self):
        self.here = threading.Event()

    def Allreduce(self, send, receive):
        assert self.here.wait(30)
        receive[...] = send

    def Abort(self, code=0):
        """Return, as MPICH does before the launcher ends the process."""


@pytest.fixture
def process(monkeypatch):
    """The hooks of this process as they were, afterwards."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(atexit, "register", lambda *_: None)
    monkeypatch.setattr(ending, "_watched", [])
    return monkeypatch


def test_a_rank_that_waits_for_others_says_so(process, capfd):
    comm = Alone()
    process.setattr(ending, "PATIENCE", 0.001)
    say = ending._say

    def said(comm):
        say(comm)
        comm.here.set()

    process.setattr(ending, "_say", said)
    ending.watch(comm)
    shown = capfd.readouterr().err
    assert "rank 0 of 2 has waited" in shown and "python -m mpi4py" in shown


def test_a_rank_that_nobody_lets_wait_says_nothing(process, capfd):
    comm = Alone()
    comm.here.set()
    ending.watch(comm)
    ending.watch(comm)
    assert capfd.readouterr().err == ""


def test_an_error_is_told_once_and_the_program_does_not_go_on(process, capfd):
    comm = Alone()
    comm.here.set()
    ending.watch(comm)
    process.setattr(ending, "FORWARDING", 0)

    def exit(code):
        raise SystemExit(code)

    process.setattr(os, "_exit", exit)
    with pytest.raises(SystemExit):
        ending.abort(comm, ValueError("planted"))
    assert capfd.readouterr().err.count("ValueError: planted") == 1
