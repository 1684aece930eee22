"""Run the benchmarks, all or some of them.

    make bench                                                   all; writes RESULTS.md and its plots
    make bench ONLY=mlp,overhead                                 prints the cases with one of these in their names
    python benchmarks/run.py --only chain --contenders by_hand,compiled,jax_jit --rounds 31

Peers that are not installed are skipped by name; `make peers` installs them.
"""

from __future__ import annotations

import argparse
import os
import time

from cases import CASES
from footprint import footprints
from harness import CONTENDERS, HERE, Outcomes, installed, measure
from results import affinity, footprint_table, table, write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="A,B", help="run cases with one of these names; write nothing")
    parser.add_argument("--contenders", metavar="A,B", help=f"some of {', '.join(CONTENDERS)}; write nothing")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--core", type=int, help="the core to pin to (default: the last allowed one; -1: none)")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(case.name for case in CASES), "import and size", sep="\n")
        return
    wanted = arguments.contenders.split(",") if arguments.contenders else list(CONTENDERS)
    if unknown := set(wanted) - set(CONTENDERS):
        parser.error(f"no contender is called {', '.join(sorted(unknown))}")
    core = max(affinity()) if arguments.core is None else arguments.core
    if core < 0 or not hasattr(os, "sched_setaffinity"):
        core = None
    who = [name for name in wanted if installed(name)]
    missing = [name for name in wanted if name not in who]
    for name in missing:
        print(f"{CONTENDERS[name].title} is not installed and is left out")
    words = arguments.only.split(",")
    cases = [case for case in CASES if any(word in case.name for word in words)]
    results: dict[str, Outcomes] = {}
    for case in cases:
        start = time.perf_counter()
        results[case.name] = measure(case, who, arguments.rounds, core)
        print(f"\n{table([case], results, who)}\n{time.perf_counter() - start:.0f} s", flush=True)
    found = footprints(who, arguments.rounds, core) if any(word in "import and size" for word in words) else {}
    if found:
        print("\n" + footprint_table(found))
    if not arguments.only and not arguments.contenders:
        write(HERE / "RESULTS.md", cases, results, found, who, missing, arguments.rounds)
        from plots import draw  # matplotlib is in the extra "bench"

        draw(HERE, cases, results)
        print(f"\nwrote {HERE / 'RESULTS.md'}")


if __name__ == "__main__":
    main()
