"""The function that runs a program if all that it depends on is as it was: written for each program.

Straight-line Python that compares by identity takes 20 ns per comparison; a loop over places takes five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tensor import Tensor

if TYPE_CHECKING:
    from .plan import Plan


def _alone() -> int:
    """What getrefcount says in a function like `look` of an object that nobody else holds; interpreters differ."""
    space: dict[str, Any] = {"getrefcount": getrefcount, "x": np.empty(0)}
    exec("def look():\n    return getrefcount(x)", space)
    count: int = space["look"]()
    return count


ALONE = _alone()


class Look:
    """`text` is the function `look`: arguments a0, a1, ... in, the results of the program out, or MISS.

    It finds its objects in the plan's `space`: tensors t0, ..., optimisers o0, ..., holders h0, ... of what is watched,
    v0, ... what is `watched` there, d0, ... the arrays that are `read` from tensors and states, g0, ... the gradients
    and k0, ... the arrays that are kept for the outputs.
    """

    def __init__(self, plan: Plan, leaves: Sequence[Any]) -> None:
        self.plan, self.space = plan, plan.space
        self.conditions = [f"(mode := MODE.get()).recording is {plan.recording}", "mode.observer is None"]
        self.conditions.append("(not HOOKS or unhooked())")
        for i, leaf in enumerate(leaves):
            self.space[f"a{i}"] = leaf
            self._like(f"a{i}", leaf)
        self._names()
        self._tensors()
        self.read: dict[str, str] = {}  # {name: the text that reads the array}
        self.given = [self._input(k) for k in plan.program.inputs]
        self.text = self._text(len(leaves))
        for i in range(len(leaves)):
            del self.space[f"a{i}"]

    def _name(self, prefix: str, value: Any) -> str:
        name = f"{prefix}{len(self.space)}"
        self.space[name] = value
        return name

    # ---- conditions

    def _like(self, text: str, x: Any) -> None:
        """That x is as it was: an array of the same outline, or the same object or plain value."""
        say = self.conditions.append
        say(f"{text}.__class__ is {self._name('c', type(x))}")
        if isinstance(x, Tensor):
            say(f"{text}.requires_grad is {x.requires_grad} and ({text}.node is None) is {x.node is None}")
            refs = self.plan.around.refs
            other = next((ref for ref, t in zip(refs, self.plan.tensors, strict=True) if t is x and ref != text), None)
            if other is not None:  # a tensor that the function also finds elsewhere
                say(f"{text} is {other}")
                return
            text, x = f"{text}.data", x.data
        if isinstance(x, np.ndarray):
            say(f"{text}.shape == {x.shape} and {text}.strides == {x.strides}")
            say(f"{text}.dtype == {self._name('c', x.dtype)}")
            return
        name = self._name("c", x)
        plain = isinstance(x, int | float | complex | str | bytes)
        say(f"({text} is {name}{f' or {text} == {name}' if plain else ''})")

    def _names(self) -> None:
        """That names, items and attributes stand for what they stood for."""
        around, say = self.plan.around, self.conditions.append
        arrays = {id(place) for place in around.arrays.values()}
        self.watched = [place for place in around.places if id(place) not in arrays]
        for i, place in enumerate(self.watched):
            self.space[f"v{i}"] = place.get()
            say(f"{place.text} is v{i}")
        for place in around.arrays.values():
            self._like(place.text, place.get())
            if around.constant:
                say(f"{place.text}.tobytes() == {self._name('c', place.get().tobytes())}")
        for module in around.modules:
            if "_hooks" in vars(module):
                say(f"not {self._name('c', vars(module)['_hooks'])}")
        for name in around.holders:
            say(f"len({name}) == {len(self.space[name])}")

    def _tensors(self) -> None:
        """That tensors need gradients, and have them, as they did; and that states have as many items."""
        plan, say = self.plan, self.conditions.append
        # whether some code asks for gradients: that of the function, or the optimisers and backward()
        read = any(plan.texts[k].endswith(".grad.data") for k in plan.program.inputs)
        asked = read or "grad" in plan.around.names
        changed = {*plan.cleared, *(i for i, _ in plan.grads)}
        for i, (ref, tensor) in enumerate(zip(plan.around.refs, plan.tensors, strict=True)):
            if ref[0] == "t":
                say(f"{ref}.requires_grad is {tensor.requires_grad}")
            if i in plan.pending:
                own = f"{ref}.grad is g{i} and getrefcount(g{i}) == {ALONE + 2}"
                say(f"({own} or renew({i}, {ref}))")
            elif asked or i in changed:
                say(f"({ref}.grad is None) is {plan.without[i]}")
        for i, optimizer in enumerate(plan.optimizers):
            for j, own in enumerate(optimizer.state):
                say(f"len(o{i}.state[{j}]) == {len(own)}")

    # ---- what the program is given

    def _input(self, k: int) -> str:
        """An input of the program."""
        text = self.plan.texts[k]
        if text.endswith(".grad.data"):  # read once, and before the program begins
            self.conditions.append(f"(i{k} := {text}) is not None")
            self._like(f"i{k}", eval(text, self.space))
            return f"i{k}"
        value = eval(text, self.space)
        if text[0] not in "to" or not isinstance(value, np.ndarray):
            if text[0] == "o":  # a learning rate: a NumPy number is another program than Python's
                self.conditions.append(f"{text}.__class__ is {self._name('c', type(value))}")
            return text
        self.read[f"d{k}"] = text
        self.space[f"d{k}"] = value
        self.conditions.append(f"{text} is d{k}")
        return f"d{k}"

    def _slot(self, k: int) -> str:
        """The array that an output is written into: the one that it stands in for, or one that is kept; a new one, if
        others hold that."""
        over = self.plan.program.slots[k].over
        if over is None:
            return f"k{k} if getrefcount(k{k}) == {ALONE} else new({k})" if k in self.plan.loose else f"k{k}"
        if f"d{over}" not in self.read:
            return f"new({k})"
        return f"d{over} if getrefcount(d{over}) == {ALONE + 1} else new({k})"

    def _text(self, count: int) -> str:
        plan, refs = self.plan, self.plan.around.refs
        slots = [f"s{k}" for k in range(len(plan.program.slots))]
        found = [*slots, *(f"returned[{k}]" for k in range(plan.program.returned))]
        tests = "\n        and ".join(self.conditions)
        lines = [f"def look({', '.join(f'a{i}' for i in range(count))}):", f"if not (\n        {tests}\n    ):"]
        lines.append("    return MISS")
        lines += [f"{name} = {self._slot(k)}" for k, name in enumerate(slots)]
        if plan.moved:  # a stamp too many only refuses a graph
            lines.append(f"{' = '.join(f'{refs[i]}.stamp' for i in plan.moved)} = next_number()")
        lines.append("scale.broken = True")
        lines.append(f"returned = program({', '.join([*self.given, *slots])})")
        lines.append("scale.broken = False")
        if plan.factor is not None:
            lines.append(f"scale.factor = {found[plan.factor]}")
        lines.append("scale.run += 1")
        lines.append(f"if {'plan.fresh or plan.stale' if plan.quiet else True}:")
        lines.append(f"    plan.set([{', '.join(refs)}], [{', '.join([*slots, '*returned'])}])")
        lines.append(f"return [{', '.join(found[place] for place in plan.results)}]")
        return "\n    ".join(lines) + "\n"
