"""`python -m nn.playground`: open the playground in the browser."""

from __future__ import annotations

import argparse

from .server import serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m nn.playground", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    given = parser.parse_args()
    serve(given.port, browser=not given.no_browser)
