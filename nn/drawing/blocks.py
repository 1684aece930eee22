"""Any network as blocks: one per call of a layer, or per op between layers, joined as the data of one call flows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd import Tensor, enable_grad, watch

from ..attention import MultiheadAttention
from ..inference import evaluating, layer_calls, unfrozen
from ..module import Module
from ..recurrent import GRU, LSTM, RNN
from .dataflow import LAYOUT, nodes_of, row_of

MANY = 6  # most names in a remark
MOST = 24  # most blocks of a picture
ATOMS = (MultiheadAttention,)  # layers with inner layers that are one block


@dataclass
class Block:
    """An input, a call of a layer, an op between layers, the output, or several of them folded into one.

    `kind` is input, layer, op, output or folded, and `shapes` are those of what leaves the block (unknown: empty).
    `parameters` counts those that no earlier block has; `shared` names those that one has, and its name.
    `channels` is the number of channels of a convolution or pooling, and `steps` that of a recurrence, or 0.
    """

    kind: str
    name: str
    title: str
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    parameters: int = 0
    shared: list[str] = field(default_factory=list)
    channels: int = 0
    steps: int = 0


@dataclass
class Blocks:
    """The `blocks` in the order of the call, the `links` between their places, and what the picture has to say."""

    blocks: list[Block]
    links: list[tuple[int, int]]
    remarks: list[str]


def blocks_of(model: Module, *samples: Any) -> Blocks:
    """Return the blocks of `model(*samples)`, in `eval()` mode; without a sample, of an `nn.Sequential` without shapes.

    The samples are given as they are, or if the model does not take them, as a batch of one.  Above 24 blocks inner
    modules are folded, innermost first, and then the blocks in the middle.  Raises ValueError for a model that does not
    take the samples.
    """
    if not samples:
        return _fold_middle(_of_row(model))
    arrays = [sample.data if isinstance(sample, Tensor) else np.asarray(sample) for sample in samples]
    try:
        recording = _Recording(model, arrays)
    except Exception:
        try:
            recording = _Recording(model, [array[None] for array in arrays])
        except Exception as error:
            shapes = " and ".join(str(array.shape) for array in arrays)
            raise ValueError(f"{type(model).__name__} does not take samples of shape {shapes}: {error}") from error
    for depth in range(recording.depth, 0, -1):
        found = recording.blocks(depth)
        if len(found.blocks) <= MOST:
            return found
    return _fold_middle(found)


def _of_row(model: Module) -> Blocks:
    row = row_of(model)
    if row is None:
        raise ValueError(f"nn.draw calls {type(model).__name__} once to see how its layers are joined: pass a sample=")
    owners: dict[int, Block] = {}
    blocks = [Block("input", "", "input")]
    for name, module in row:
        blocks.append(_layer(name, module))
        _count(blocks[-1], module.parameters(), owners)
    blocks.append(Block("output", "", "output"))
    return Blocks(blocks, [(i, i + 1) for i in range(len(blocks) - 1)], ["Pass a sample= to see shapes."])


def _layer(name: str, module: Module) -> Block:
    kind, said = type(module).__name__, module.describe()
    folded = [*module.children()] and not isinstance(module, ATOMS)
    return Block("folded" if folded else "layer", name, f"{kind}({said})" if said else kind)


def _count(block: Block, parameters: Iterable[Any], owners: dict[int, Block]) -> None:
    """Count the parameters of a block that no earlier one has; `owners` has the first block of each parameter."""
    for p in parameters:
        owner = owners.get(id(p))
        if owner is None:
            owners[id(p)] = block
            block.parameters += p.size
        elif owner is not block:
            block.shared = [*dict.fromkeys([*block.shared, owner.name or owner.title])]


class _Recording:
    """The graph of one call of a model."""

    def __init__(self, model: Module, arrays: Sequence[Any]) -> None:
        self.model = model
        self.names = {id(module): name for name, module in model.named_modules()}
        self.given = [Tensor(x, requires_grad=True) if x.dtype.kind in "fc" else x for x in arrays]
        self.outputs: list[Any] = []
        handle = model.register_forward_hook(lambda module, inputs, output: self.outputs.append(output))
        try:
            with unfrozen(model) as self.parameters, evaluating(model), enable_grad(), watch():
                self.calls = layer_calls(model, *self.given)
        finally:
            handle.remove()
        self.last = [*nodes_of(self.outputs[-1:])][::-1]  # in their order
        self.nodes = self._nodes()
        self.depth = max((len(node.note.modules) for node in self.nodes), default=1)

    def _nodes(self) -> list[Any]:
        """All ops behind the result, oldest first."""
        seen: set[Any] = set()
        waiting = list(self.last)
        while waiting:
            node = waiting.pop()
            if node not in seen and node.op is not None:
                seen.add(node)
                waiting += [edge for edge in node.edges if edge is not None]
        return sorted(seen, key=lambda node: int(node.number))

    def _home(self, node: Any, depth: int) -> tuple[Any, ...]:
        """The key of a node's block: the call of a layer, of a module `depth` deep, or the op itself."""
        for i, (module, number) in enumerate(node.note.modules):
            if i == depth or isinstance(module, ATOMS) or not [*module.children()]:
                return module, number
        return (node,)

    def blocks(self, depth: int) -> Blocks:
        """The blocks, in the order of their first ops."""
        several = len(self.given) > 1
        blocks = [
            Block("input", "", f"input {i}" if several else "input", [np.shape(x)]) for i, x in enumerate(self.given, 1)
        ]
        origin: dict[Any, set[int]] = {}  # where the value of a leaf or an op comes from
        for i, x in enumerate(self.given):
            if isinstance(x, Tensor):
                origin[x.node] = {i}
        links: set[tuple[int, int]] = set()
        place: dict[tuple[Any, ...], int] = {}
        owners: dict[int, Block] = {}
        for node in self.nodes:
            key = self._home(node, depth)
            edges = [edge for edge in node.edges if edge is not None]
            if key[0] is node and node.op.name in LAYOUT:
                origin[node] = set[int]().union(*(origin.get(edge, set()) for edge in edges))
                continue
            if key not in place:
                place[key] = len(blocks)
                op = Block("op", "", node.op.name, [node.shape])
                blocks.append(op if key[0] is node else _layer(self.names.get(id(key[0]), "?"), key[0]))
            here = place[key]
            _count(blocks[here], (self.parameters[edge][1] for edge in edges if edge in self.parameters), owners)
            origin[node] = {here}
            links |= {(start, here) for edge in edges for start in origin.get(edge, ()) if start != here}
            for edge in edges:
                self._leaves(blocks, origin, edge, here)
        self._tell(blocks, links, place, depth)
        for node in self.last:
            self._leaves(blocks, origin, node, len(blocks))
        links |= {(start, len(blocks)) for node in self.last for start in origin.get(node, ())}
        blocks.append(Block("output", "", "output", [node.shape for node in self.last]))
        unused = [name for name, p in self.model.named_parameters() if id(p) not in owners]
        return Blocks(blocks, sorted(links), _remarks(blocks, links, unused))

    def _leaves(self, blocks: list[Block], origin: Mapping[Any, set[int]], node: Any, reader: int) -> None:
        """Note the shape of a value that leaves its layer."""
        for start in origin.get(node, ()):
            shapes = blocks[start].shapes
            if start != reader and blocks[start].kind in ("layer", "folded") and node.shape not in shapes:
                shapes.append(node.shape)

    def _tell(
        self, blocks: list[Block], links: set[tuple[int, int]], place: Mapping[tuple[Any, ...], int], depth: int
    ) -> None:
        """Add what the graph does not know: who reads whole numbers, channels, and the steps of recurrences."""
        for call in self.calls:
            keys = {self._home(node, depth) for node in nodes_of([call.output]) if node.op is not None}
            for here in [place[key] for key in keys if key in place and key[0] is call.module]:
                arrays = [x for x in call.inputs if isinstance(x, np.ndarray)]
                for i, x in enumerate(self.given):
                    if isinstance(x, np.ndarray) and any(np.shares_memory(x, array) for array in arrays):
                        links.add((i, here))
                block = blocks[here]
                if isinstance(call.module, RNN | LSTM | GRU) and block.kind == "layer":
                    shape = np.shape(call.inputs[0]) if hasattr(call.inputs[0], "shape") else ()
                    block.steps = shape[1 if call.module.batch_first and len(shape) == 3 else 0] if shape else 0
        for block in blocks:
            axes = re.match(r"\w*(?:Conv|Pool)\w*([123])d\b", block.title)
            if axes and block.kind == "layer" and block.shapes:
                block.channels = block.shapes[0][-1 - int(axes[1])]


def _remarks(blocks: Sequence[Block], links: Iterable[tuple[int, int]], unused: Sequence[str]) -> list[str]:
    """What the picture does not show."""
    more = ", ..." if len(unused) > MANY else ""
    said = [f"Without a recorded part in the output: {', '.join(unused[:MANY])}{more}."] if unused else []
    reached = {end for _, end in links}
    loose = [b.name or b.title for i, b in enumerate(blocks) if i not in reached and b.kind != "input"]
    if loose:
        said.append(f"What {', '.join(loose)} reads is constant, or its origin was not recorded.")
    if folded := [block.name or block.title for block in blocks if block.kind == "folded"]:
        said.append(f"Folded, with layers inside: {', '.join(folded)}.")
    return said


def _fold_middle(whole: Blocks) -> Blocks:
    """Fold a run of blocks in the middle into one, so that `MOST` are left."""
    blocks = whole.blocks
    if len(blocks) <= MOST:
        return whole
    first = MOST // 2
    last = len(blocks) - (MOST - first - 1)
    inside = blocks[first:last]
    counts = Counter(re.match(r"[^(]*", block.title)[0] for block in inside)  # type: ignore[index]  # it always matches
    title = f"{len(inside)} blocks: " + ", ".join(f"{n} {kind}" for kind, n in counts.most_common(3))
    title += ", ..." if len(counts) > 3 else ""
    middle = Block("folded", "", title, parameters=sum(block.parameters for block in inside))
    middle.shared = [*dict.fromkeys(name for block in inside for name in block.shared)]
    place = [min(i, first) if i < last else i - len(inside) + 1 for i in range(len(blocks))]
    leaving = {a for a, b in whole.links if place[a] == first != place[b]}
    middle.shapes = [*dict.fromkeys(shape for a in sorted(leaving) for shape in blocks[a].shapes)]
    links = sorted({(place[a], place[b]) for a, b in whole.links if place[a] != place[b]})
    remark = f"Folded: {len(inside)} of {len(blocks)} blocks, into one."
    return Blocks([*blocks[:first], middle, *blocks[last:]], links, [*whole.remarks, remark])
