"""The server: for this machine alone, with a token, and a session for each socket; its extra is asked for by name."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from selenium.webdriver.support.wait import WebDriverWait
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from playgrounds import running


@pytest.fixture(scope="module")
def served():
    with running() as found:
        yield found


def fetched(address, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ""


def test_the_page_is_there_for_who_has_the_token_and_comes_by_this_machines_name(served):
    status, headers, text = fetched(served.address)
    assert status == 200 and "How a network learns" in text
    assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Frame-Options"] == "DENY"
    root = served.address.rsplit("/", 2)[0]
    assert len(served.address.split("/")[-2]) > 20
    for address in (f"{root}/", f"{root}/wrong/", f"{root}/session"):
        assert fetched(address)[0] == 404
    assert fetched(served.address, Host="evil.example")[0] == 400


def test_no_other_machine_can_connect(served):
    assert served.socket.getsockname()[0] == "127.0.0.1"
    with (
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(("127.0.0.2", served.socket.getsockname()[1]), 1),
    ):
        pass


def opened(served, **more):
    origin = served.address.rsplit("/", 2)[0]
    return connect(f"{served.address.replace('http', 'ws')}session", **{"origin": origin, **more})


def test_a_page_of_another_site_gets_no_session(served):
    for wrong in (
        {"origin": "http://evil.example"},
        {"origin": None},
        {"additional_headers": {"Host": "evil.example"}},
    ):
        with pytest.raises((InvalidStatus, ConnectionClosed)), opened(served, **wrong) as channel:
            channel.recv(timeout=30)


def heard(channel, *keys):
    """Return the answers with these keys, in their order."""
    found = []
    for key in keys:
        answer = {}
        while key not in answer:
            answer = json.loads(channel.recv(timeout=30))
        found.append(answer[key])
    return found


def told(channel, **message):
    channel.send(json.dumps(message))


def test_two_tabs_do_not_disturb_each_other_and_a_closed_one_stops_training(served):
    with opened(served) as one, opened(served) as two:
        told(one, do="start", settings={"data": "xor"})
        told(two, do="start", settings={"data": "moons"})
        told(one, do="run")
        for i in range(3):
            (frame,) = heard(one, "frame")
            told(one, do="seen")
            told(two, do="batch")
            heard(two, "frame")
            assert frame["epoch"] >= i
        told(two, do="code")
        assert 'make("moons"' in heard(two, "code")[0]
        assert served.app.state.open == 2
        one.close()
        WebDriverWait(served.app, 30, 0.005).until(lambda app: app.state.open == 1)
        told(two, do="batch")
        assert heard(two, "frame")[0]["batch"] > 0
    WebDriverWait(served.app, 30, 0.005).until(lambda app: app.state.open == 0)


def test_what_is_not_a_message_ends_its_session_alone(served):
    with opened(served) as good:
        for wrong in ("{", b"\xff", json.dumps("x" * 20_000)):
            with opened(served) as bad, pytest.raises(ConnectionClosed):
                bad.send(wrong)
                while True:
                    bad.recv(timeout=30)
        told(good, do="epoch")
        assert heard(good, "frame")[0]["epoch"] == 1


def test_it_is_loaded_when_asked_for_and_its_extra_is_named():
    program = """
import sys
import nn
assert not [name for name in sys.modules if name.startswith("nn.playground")]
import nn.playground
from nn.playground.data import make
assert not {"starlette", "anywidget", "uvicorn"} & set(sys.modules)
sys.modules |= {"starlette.applications": None, "anywidget": None}
for function in (nn.playground.serve, nn.playground.widget):
    try:
        function()
    except ImportError as error:
        print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.count("pip install plaingrad[play]") == 2


def test_it_ends_with_ctrl_c_also_while_a_page_trains():
    command = [sys.executable, "-m", "nn.playground", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().split()[-1]
        with opened(SimpleNamespace(address=address)) as channel:
            told(channel, do="run")
            heard(channel, "frame")
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        assert process.stderr.read() == ""
