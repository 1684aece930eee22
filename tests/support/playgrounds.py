"""Settings of the playground that are quick to train with, and a server of it."""

import threading
from contextlib import contextmanager
from types import SimpleNamespace

from hypothesis import strategies as st

from nn.playground.data import DATA
from nn.playground.server import server
from nn.playground.settings import ACTIVATIONS, OPTIMIZERS, Settings

SMALL = st.builds(
    Settings,
    data=st.sampled_from(list(DATA)),
    hidden=st.lists(st.integers(1, 4), max_size=3).map(tuple),
    activation=st.sampled_from(list(ACTIVATIONS)),
    optimizer=st.sampled_from(list(OPTIMIZERS)),
    lr=st.sampled_from([0.01, 0.1, 1.0]),
    batch=st.sampled_from([30, 64, 200]),
    decay=st.sampled_from([0.0, 0.01]),
    noise=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 5),
)


@contextmanager
def running():
    """A playground that is served from a thread: `address`, `app`, `socket`."""
    served, socket, address = server()
    socket.listen()
    thread = threading.Thread(target=served.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield SimpleNamespace(address=address, app=served.config.app, socket=socket)
    finally:
        served.should_exit = True
        thread.join()
        socket.close()
