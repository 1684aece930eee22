"""The function that runs a program if all that it depends on is as it was: written for each program.

Straight-line Python that compares by identity takes 20 ns per comparison; a loop over places takes five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tensor import Tensor

if TYPE_CHECKING:
    from .plan import Plan


def _alone(text: str, **space: Any) -> int:
    """What getrefcount says in a function like `look` of an object that nobody else holds; interpreters differ."""
    space["getrefcount"] = getrefcount
    exec(f"def look():\n    return getrefcount({text})", space)
    count: int = space["look"]()
    return count


ALONE = _alone("x", x=np.empty(0))
ALONE_THERE = _alone("x.y", x=SimpleNamespace(y=[]))
ALONE_IN_LIST = _alone("x.y[0]", x=SimpleNamespace(y=[{}]))

# Names in a plan's `space`; t0, ... are its tensors, o0, ... its optimisers, h0, ... holders of what is watched there.
OLD = "d{}".format  # the array that an input was when it was last compared
KEPT = "k{}".format  # an array that is kept for a slot
GRAD = "g{}".format  # the gradient that stays in an array of the plan's
SEEN = "v{}".format  # what stood in a place that is watched


class Look:
    """`text` is the function `look`: arguments a0, a1, ... in, the results of the program out, or MISS.

    It finds its objects in the plan's `space`.  `watched` are the places whose values are compared there, `read` the
    texts that read arrays of tensors and states, by the names of what they were.
    """

    def __init__(self, plan: Plan, leaves: Sequence[Any]) -> None:
        self.plan, self.space, self.outcome = plan, plan.space, plan.outcome
        self.conditions = [f"(mode := MODE.get()).recording is {plan.recording}", "mode.observer is None"]
        for i, leaf in enumerate(leaves):
            self.space[f"a{i}"] = leaf
            self._like(f"a{i}", leaf)
        self._identities(leaves)
        self._names()
        self._tensors()
        self._states()
        self.read: dict[str, str] = {}  # {name: the text that reads the array}
        self.given = [self._input(k) for k in plan.program.inputs]
        self.slots = [f"s{k}" for k in range(len(plan.program.slots))]
        self.found = [*self.slots, *(f"returned[{k}]" for k in range(plan.program.returned))]
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
        say(f"type({text}) is {self._name('c', type(x))}")
        if isinstance(x, Tensor):
            say(f"type({text}.node) is {self._name('c', type(x.node))}")
            text, x = f"{text}._data", x.data
        if isinstance(x, np.ndarray):
            say(f"{text}.shape == {x.shape} and {text}.strides == {x.strides}")
            dtype = self._name("c", x.dtype)
            say(f"({text}.dtype is {dtype} or {text}.dtype == {dtype})")
            return
        name = self._name("c", x)
        equal = ""
        if type(x) in (float, complex):
            equal = f" or repr({text}) == {repr(x)!r}"  # -0.0 is not 0.0
        elif isinstance(x, int | str | bytes):
            equal = f" or {text} == {name}"
        say(f"({text} is {name}{equal})")

    def _identities(self, leaves: Sequence[Any]) -> None:
        """That two tensors are one where they were one, and two where they were two."""
        say, refs = self.conditions.append, self.plan.around.refs
        found = {id(t): ref for ref, t in zip(refs, self.plan.tensors, strict=True)}
        first: dict[int, str] = {}  # {id of a tensor: the argument that it is}
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                ref = first.setdefault(id(leaf), found.get(id(leaf), f"a{i}"))
                if ref != f"a{i}":
                    say(f"a{i} is {ref}")
        others = [name for name in first.values() if name[0] == "a"]
        if others:
            every = [*others, *(ref for ref in refs if ref[0] == "t")]
            if len(every) > 1:
                say(f"len({{{', '.join(f'id({ref})' for ref in every)}}}) == {len(every)}")

    def _names(self) -> None:
        """That names, items and attributes stand for what they stood for, and that there are no others."""
        around, say = self.plan.around, self.conditions.append
        self.conditions += around.conditions
        arrays = {id(place) for place in around.arrays.values()}
        self.watched = [place for place in around.places if id(place) not in arrays]
        for i, place in enumerate(self.watched):
            self.space[f"v{i}"] = place.get()
            say(f"{place.text} is v{i}")
        for place in around.arrays.values():
            self._like(place.text, place.get())
            if around.constant:
                self._content(place.text, place.get())
        for _, array in around.fixed:
            name = self._name("c", array)
            self._like(name, array)
            self._content(name, array)
        for module in around.modules:
            if "_hooks" in vars(module):
                say(f"not {self._name('c', vars(module)['_hooks'])}")

    def _content(self, text: str, array: Any) -> None:
        self.conditions.append(f"{text}.tobytes() == {self._name('c', array.tobytes())}")

    def _tensors(self) -> None:
        """That tensors need gradients, and have them, as they did."""
        plan, out, say = self.plan, self.outcome, self.conditions.append
        asked, read = self._asks_for_gradients(), {plan.texts[k] for k in plan.program.inputs}
        for i, (ref, tensor) in enumerate(zip(plan.around.refs, plan.tensors, strict=True)):
            if ref[0] == "t":
                say(f"({ref}.node is not None) is {tensor.requires_grad}")
            if tensor.requires_grad:
                say(f"not {ref}.node.hooks")
            if i in out.pending and tensor.grad is None:
                say(f"{ref}.grad is None and renew({i}, {ref})")
            elif i in out.pending:
                own = f"{ref}.node.grad is {GRAD(i)} and getrefcount({GRAD(i)}) == {ALONE + 2}"
                say(f"({own} or renew({i}, {ref}))")
            elif asked or i in out.grads or i in out.cleared:
                say(f"({ref}.grad is None) is {tensor.grad is None}")
            if f"{ref}.grad.data" in read:  # a step that uses a sum with it says whether one had used it
                for k, optimizer in enumerate(plan.optimizers):
                    say(f"({ref}._leaf.began < o{k}.used) is {tensor._leaf.began < optimizer.used}")

    def _asks_for_gradients(self) -> bool:
        """Whether some code may ask which gradients there are: the function's, or what it calls of the library."""
        plan = self.plan
        named = any("grad" in name or name == "backward" for name in plan.around.names)
        codes = [getattr(place.get(), "__code__", None) for place in self.watched]
        return bool(plan.optimizers) or named or any("grad" in code.co_names for code in codes if code is not None)

    def _states(self) -> None:
        """That states have as many items as they had."""
        for i, optimizer in enumerate(self.plan.optimizers):
            if not any(optimizer.state):
                self.conditions.append(f"not any(o{i}.state)")
                continue
            for j, own in enumerate(optimizer.state):
                self.conditions.append(f"len(o{i}.state[{j}]) == {len(own)}")

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
        self.read[OLD(k)] = text
        self.space[OLD(k)] = value
        self.conditions.append(f"{text} is {OLD(k)}")
        return OLD(k)

    def _slot(self, k: int) -> str:
        """The array that an output is written into: the one that it stands in for, or one that is kept; a new one, if
        others hold that."""
        over = self.plan.program.slots[k].over
        if over is None:
            return f"{KEPT(k)} if getrefcount({KEPT(k)}) == {ALONE} else new({k})" if k in self.plan.kept else KEPT(k)
        if OLD(over) not in self.read:
            return f"new({k})"
        alone = f"getrefcount({OLD(over)}) == {ALONE + 1}"
        text = self.plan.texts[over]
        if text[0] == "o":  # an item of a state, which others may hold as a whole
            own, states = text[: text.rindex("[")], text[: text.index("[")]
            alone += f" and getrefcount({own}) == {ALONE_IN_LIST} and getrefcount({states}) == {ALONE_THERE}"
        return f"{OLD(over)} if {alone} else new({k})"

    # ---- what is changed after it has run

    def _array(self, place: int) -> str:
        """An output as an array."""
        return self.found[place] if place < len(self.slots) else f"asarray({self.found[place]})"

    def _changes(self) -> tuple[list[str], list[str]]:
        """What is set after every run, and after those for which something was made anew; arguments of setattr."""
        out, refs = self.outcome, self.plan.around.refs
        always: list[str] = []
        fresh: list[str] = []
        for i, place in out.data.items():
            (fresh if out.is_over(place) else always).append(f"({refs[i]}, '_data', {self._array(place)})")
        for i, place in out.grads.items():
            if i in out.pending:
                fresh.append(f"({refs[i]}.node, 'grad', {GRAD(i)})")
            else:
                always.append(f"({refs[i]}._leaf, 'grad', tensor_of({self._array(place)}))")
        always += [f"({refs[i]}._leaf, 'grad', None)" for i in out.cleared]
        for i in {i for i, _ in out.states}:
            over = all(out.is_over(p) for (k, _), own in out.states.items() if k == i for p in own.values())
            (fresh if over else always).append(f"(o{i}, 'state', {self._new_states(i)})")
        return always, fresh

    def _new_states(self, i: int) -> str:
        """The states of an optimiser: new dicts in a new list, as its own step makes them."""
        said = []
        for j in range(len(self.plan.optimizers[i].state)):
            own = self.outcome.states.get((i, j))
            items = ", ".join(f"{key!r}: {self._item(place)}" for key, place in (own or {}).items())
            said.append(f"o{i}.state[{j}]" if own is None else f"{{{items}}}")
        return f"[{', '.join(said)}]"

    def _item(self, place: int) -> str:
        return self.found[place] if place < len(self.slots) else f"item({self.found[place]})"

    def _replaced(self) -> tuple[list[str], list[str]]:
        """What the arrays of tensors and states are from now on, after every run and after those with something new."""
        always: list[str] = []
        fresh: list[str] = []
        for place, old in self.outcome.olds.items():
            if old is None or OLD(old) not in self.read or not self._laid_out_alike(place, old):
                continue
            if place in self.plan.kept:  # the old array is kept for the next run
                always.append(f"{KEPT(place)} = {OLD(old)}")
            (fresh if self.outcome.is_over(place) else always).append(f"{OLD(old)} = {self._item(place)}")
        return always, fresh

    def _laid_out_alike(self, place: int, old: int) -> bool:
        """Whether an output lies in memory as what it replaces; else the next run finds that something has changed."""
        before = self.space[OLD(old)]
        slot = self.plan.program.slots[place] if place < len(self.slots) else None
        new = np.empty(()) if slot is None else np.empty(slot.shape, slot.dtype, slot.order)
        return (new.shape, new.dtype, new.strides) == (before.shape, before.dtype, before.strides)

    def _numbered(self) -> list[str]:
        """What is given the number of a run; one too many, after an interrupt, only refuses a graph."""
        refs, tensors, out = self.plan.around.refs, self.plan.tensors, self.outcome
        numbered = [f"{refs[i]}.node.stamp" for i in out.data if tensors[i].requires_grad]
        if out.stepped:
            return ["number", *numbered, *(f"o{k}.used" for k in range(len(self.plan.optimizers)))]
        numbered += [f"{refs[i]}._leaf.added" for i in out.grads]
        return ["number", *numbered, *(f"{refs[i]}._leaf.began" for i in out.grads if tensors[i].grad is None)]

    def _make(self, changes: list[str]) -> str:
        """The call that makes the program's moves and these changes."""
        last = "*last" if self.plan.program.moves else "(), (), (), ()"
        return f"update({last}, ({''.join(f'{change}, ' for change in changes)}))" if changes else f"update({last})"

    # ---- the function

    def _text(self, count: int) -> str:
        program = self.plan.program
        tests = "\n        and ".join(self.conditions)
        always, fresh = self._changes()
        olds, fresh_olds = self._replaced()
        stale = sorted({line.split(" = ")[0] for line in (*olds, *fresh_olds)})
        lines = [f"def look({', '.join(f'a{i}' for i in range(count))}):"]
        if stale:
            lines.append(f"global {', '.join(stale)}")
        lines += [f"if not (\n        {tests}\n    ):", "    return MISS"]
        lines += [f"{name} = {self._slot(k)}" for k, name in enumerate(self.slots)]
        lines.append(f"{' = '.join(self._numbered())} = next_number()")
        lines.append("scale.broken = True")
        lines.append(f"returned{', last' if program.moves else ''} = program({', '.join([*self.given, *self.slots])})")
        if self.outcome.factor is not None:
            lines.append(f"scale.factor = {self.found[self.outcome.factor]}")
        lines.append("scale.run += 1")
        if fresh:
            lines.append("if fresh := plan.fresh:")
            every = [*always, *fresh, "(plan, 'fresh', False)"]
            lines.append(f"    {self._make(every)}")
            if always or program.moves:
                lines += ["else:", f"    {self._make(always)}"]
        elif always or program.moves:
            lines.append(self._make(always))
        lines += olds
        if fresh_olds:
            lines.append("if fresh:")
            lines += [f"    {line}" for line in fresh_olds]
        lines.append("scale.broken = False")
        if fresh:
            lines.append("if fresh: hold()")  # after all else, for it may be interrupted
        lines.append(f"return [{', '.join(self.found[place] for place in self.outcome.results)}]")
        return "\n    ".join(lines) + "\n"
