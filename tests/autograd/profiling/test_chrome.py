"""The trace file of a profile, as a viewer reads it."""

from __future__ import annotations

import json
import threading

import nn
from autograd import profile
from profiled import network, train


def test_the_trace_file_is_well_formed(tmp_path):
    model, X, y = network()

    def work():
        with p:
            train(model, X, y, nn.SGD(model.parameters(), lr=0.1))

    with profile() as p:
        work()
        thread = threading.Thread(target=work, name="second")
        thread.start()
        thread.join()
    path = p.export_chrome_trace(tmp_path / "trace.json")
    trace = json.loads(path.read_text())
    events = trace["traceEvents"]
    slices = [e for e in events if e["ph"] == "X"]
    assert len(slices) == len(p.events()) and len({e["pid"] for e in events}) == 1
    assert all(isinstance(e["tid"], int) and e["dur"] > 0 <= e["ts"] for e in slices)
    assert max(e["ts"] + e["dur"] for e in slices) <= p.time * 1e6  # microseconds
    open_slices = {}
    for e in slices:  # in the order of the file, as a viewer reads it: a slice ends before the one around it does
        stack = open_slices.setdefault(e["tid"], [])
        while stack and stack[-1] <= e["ts"]:
            stack.pop()
        assert not stack or e["ts"] + e["dur"] <= stack[-1] + 1e-6
        stack.append(e["ts"] + e["dur"])
    names = {e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert names == {"MainThread", "second"} and len(open_slices) == 2
    kinds = {e["cat"] for e in slices}
    assert kinds == {"op forward", "op backward", "module forward", "module backward", "backward", "step"}
    assert {"2 (Sequential)", "linear", "linear backward", "backward", "SGD.step"} <= {e["name"] for e in slices}
    starts, ends = ({e["id"]: e for e in events if e["ph"] == ph} for ph in "sf")
    assert starts.keys() == ends.keys() and all(starts[i]["ts"] < ends[i]["ts"] for i in starts)
    assert len(starts) == sum(e["cat"] == "op backward" and e["name"].endswith("backward") for e in slices)
