"""The first step of a run: pictures and numbers of one forward pass, one backward pass and one step, for one image."""

import html

import numpy as np

import autograd
import nn
from autograd import Tensor


def pair(row, digits=2):
    """Format two probabilities: [0.75, 0.25]."""
    return f"[{row[0]:.{digits}f}, {row[1]:.{digits}f}]"


def table(head, rows):
    """Return an HTML table of texts."""
    names = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table class='numbers'><tr>{names}</tr>{cells}</table></div>"


def first_step(model, image, classes, lr):
    """Return {name: number, text or picture} of a forward pass, a backward pass and a step of SGD for one image."""
    loss_of, optimizer = nn.CrossEntropyLoss(), nn.SGD(model.parameters(), lr=lr)
    network = nn.draw(model, image, names=classes).svg()
    optimizer.zero_grad()  # the model was trained before, and gradients accumulate
    with autograd.watch():
        logits = model(Tensor(image[None], name="image"))
        loss = loss_of(logits, np.array([0]))
        loss.name = "loss"
        loss.backward()
    steps = autograd.draw(loss, names=model).page().text
    gradients = nn.draw(model, image, gradients=True, names=classes).svg()
    node = one_node(model[0], image)
    last = model[-1]
    old, gradient = last.weight.data[0].copy(), last.weight.grad.data[0].copy()
    optimizer.step()
    after = model(image[None])
    numbers, belief = logits.data[0], nn.functional.softmax(logits.data)[0]
    powers = np.exp(numbers)
    softmax = [
        [n, f"{v:.3f}", f"{e:.3f}", f"{p:.3f}"] for n, v, e, p in zip(classes, numbers, powers, belief, strict=True)
    ]
    softmax.append(["sum", "", f"{powers.sum():.3f}", f"{belief.sum():.3f}"])
    rows = [
        [
            f"from node {i + 1}", f"{old[i]:.6f}", f"{gradient[i]:+.6f}", f"{lr * gradient[i]:+.8f}",
            f"{last.weight.data[0, i]:.6f}",
        ]
        for i in np.argsort(-np.abs(gradient))[:6]
    ]  # fmt: skip
    head = [f"weight into “{classes[0]}”", "old weight", "gradient", f"{plain(lr)} * gradient", "new weight"]
    return node | {
        "network": f"<div class='network'>{network}</div>",
        "logits": ", ".join(f"{v:.3f}" for v in numbers),
        "softmax": table(["node", "number", "e to the number", "divided by the sum"], softmax),
        "belief": belief,
        "loss": loss.item(),
        "gradients": f"<div class='network'>{gradients}</div>",
        "steps": steps,
        "loss_after": loss_of(after, np.array([0])).item(),
        "belief_after": nn.functional.softmax(after.data)[0],
        "step": table(head, rows),
    }


def one_node(layer, image):
    """Return numbers, a table of products and the curve of ReLU, for the nodes with the largest and smallest sums."""
    sums = layer(image).data
    node, negative = int(np.argmax(sums)), int(np.argmin(sums))
    weights, side = layer.weight.data[node], round((image.size / 3) ** 0.5)
    products = weights * image
    largest = np.argsort(-np.abs(products))[:4]
    rows = []
    for i in largest:
        row, column, colour = np.unravel_index(i, (side, side, 3))
        place = f"row {row + 1}, column {column + 1}, {('red', 'green', 'blue')[colour]}"
        rows.append([place, f"{image[i]:.3f}", f"{weights[i]:+.4f}", f"{products[i]:+.4f}"])
    rest = products.sum() - products[largest].sum()
    rows.append([f"and {image.size - len(largest):,} others", "", "", f"{rest:+.4f}"])
    most = float(np.abs(sums).max()) * 1.1
    return {
        "node": node + 1,
        "negative": negative + 1,
        "sum_of_products": float(products.sum()),
        "bias": float(layer.bias.data[node]),
        "sums": (float(sums[node]), float(sums[negative])),
        "products": table(["pixel", "value", "weight", "product"], rows),
        "relu": nn.drawing.chart(
            {"": ([-most, 0, most], [0, 0, most])}, x="sum that arrives at the node", y="ReLU(sum)",
            points=[(s, max(0.0, s), f"node {n + 1}: {s:.3f} → {max(0.0, s):.3f}")
                    for n in (node, negative) for s in [float(sums[n])]],
        ),
    }  # fmt: skip


def plain(number):
    """Write a small number without an exponent: 0.00005."""
    return f"{number:.10f}".rstrip("0").rstrip(".")
