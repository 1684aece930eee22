"""The process of one contender, started by harness.py: pins itself, builds its step, and runs it on request.

It imports `cases` from its own folder, so that it also runs where `autograd` is HIPS's.
"""

import os
import sys

name, contender, core = sys.argv[1:]
if core and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(core)})  # before NumPy and other libraries count the cores

import contextlib
import ctypes
import gc
import json
import time
import warnings
from pathlib import Path

import numpy as np

from cases import find
from harness import LONG, SLOW, digest

COMPILING = ("compiled", "torch_compile", "jax_jit")
WARM = 0.3  # seconds


def age():
    """Free a large array, as a process does when it loads its data.

    Until then glibc returns freed memory to the system, which costs page faults; without this call, some contenders
    would be measured in that state and some not.
    """
    np.empty(31 << 20, np.uint8)


def timed(step, count):
    """Return {"cpu": .., "elapsed": ..}, in seconds per step."""
    gc.collect()
    elapsed, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        step()
    return {"cpu": (time.process_time() - cpu) / count, "elapsed": (time.perf_counter() - elapsed) / count}


def prepare(step):
    """Run a few steps and warm up; return {"digests": .., "cpu": .., "elapsed": ..}, in seconds per step."""
    digests = []
    # The first ones load modules, compile, or compare what was compiled with what was written.
    for _ in range(5 if contender in COMPILING else 2):
        start, cpu = time.perf_counter(), time.process_time()
        digests.append(digest(step()))
        each = {"cpu": time.process_time() - cpu, "elapsed": time.perf_counter() - start}
        if each["cpu"] > SLOW and contender not in COMPILING:
            return {"digests": digests, **each}
    if each["cpu"] < LONG:
        count = min(max(3, int(WARM / each["cpu"])), 1000)
        timed(step, count)
        each = timed(step, max(1, count // 3))
    return {"digests": digests, **each}


def status(field):
    """Return a field of /proc/self/status in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{field}:")[2].split()[0]) * 1024


def peak(step, before):
    """Return the peak memory of two steps, above the memory of the process once the network and the data were made.

    Free memory left by compiling is returned to the system first.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    step()
    step()
    return {"bytes": status("VmHWM") - before}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep the output of libraries out of the answers
    warnings.simplefilter("ignore")
    case = find(name)
    if not case.peak:
        age()
    step = before = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                step = case.ways[contender](*case.args)
                before = status("VmRSS") if case.peak else 0
                answer = prepare(step)
            elif "peak" in request:
                answer = peak(step, before)
            else:
                if request["steps"] > 1:
                    step()  # refill the caches after the turns of others
                answer = timed(step, request["steps"])
        except Exception as error:
            words = str(error).strip().splitlines() or [""]
            answer = {"error": f"{type(error).__name__}: {words[0]:.200}"}
        with contextlib.suppress(BrokenPipeError):
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


main()
