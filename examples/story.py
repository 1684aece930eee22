"""Write the page of `cats_and_dogs.py`: what a network is and how it learns, with the numbers of one run."""

# ruff: noqa: E501, RUF001 (the lines of a page)

import html

import numpy as np

import autograd
import nn
from autograd import Tensor


def pair(row):
    """Format two probabilities: [0.75, 0.25]."""
    return f"[{row[0]:.2f}, {row[1]:.2f}]"


def article(*, model, initial, history, film, beliefs, cat, classes, compared, images, labels, lr, batch):
    """Return the body of the page, with the numbers of this run."""
    final = model.state_dict()
    model.load_state_dict(initial)
    start = one_step(model, cat, classes, lr)
    model.load_state_dict(final)
    kind, other = (html.escape(name) for name in classes)
    side = round((cat.size / 3) ** 0.5)
    epochs, short = history.epochs, min(map(len, compared.values()))
    weights = sum(p.size for p in model.parameters())
    return f"""<main>
<h1>How a network learns to distinguish {kind}s from {other}s</h1>
<p>Everything on this page comes from one run of <code>nn.fit(model, X, y)</code>, the counterpart of
<code>model.fit</code>. There are {len(images):,} images <em>X</em>, {len(images) - len(images) // 6:,} of them to train
on. Each has a label <em>y</em>: 0 for a {kind}, 1 for a {other}. We follow one {kind} from start to finish. The network
never trains on it.</p>
{gallery(images, labels, classes)}

<h2>1. Layers and nodes</h2>
<p>A network has columns of nodes, the <strong>layers</strong>, and an arrow from every node of a layer to every node of
the next. A <strong>node</strong> holds one number. The first layer holds the image: {side} x {side} pixels in three
colours are {cat.size:,} numbers. The last layer holds the answer, one node for {kind} and one for {other}. Only the
first and last nodes of a long layer are drawn.</p>
{start["network"]}

<h2>2. Weights, random at first</h2>
<p>Every arrow has a <strong>weight</strong>, a number that multiplies the value passing along it. There are {weights:,}
weights, including the biases, which are added at the nodes. Before training they are random. The first weights into the
first output node are {start["arbitrary"]}. So the first answers mean nothing.</p>

<h2>3. What a node does: weights, then the activation function</h2>
<p>{start["node"]}</p>
{start["products"]}

<h2>4. One forward pass</h2>
<p>The image passes through all layers, from left to right. The result is two numbers, {start["logits"]}. The function
<em>softmax</em> turns them into <strong>probabilities</strong> that sum to 1: {start["belief"]} for [{kind}, {other}].
</p>

<h2>5. The loss: how wrong was that?</h2>
<p>The correct answer is [1, 0]. The <strong>loss function</strong> measures the error: it is the negative logarithm of
the probability of the correct class, &minus;log {start["p"]:.3f} = <strong>{start["loss"]:.3f}</strong>. It is 0 for a
certain and correct answer, and it grows without bound as the answer becomes certain and wrong.</p>

<h2>6. The gradient: d(loss)/d(weight), for every weight</h2>
<p>How would the loss change if one weight were a little larger? The answer is the <strong>gradient</strong> of that
weight, d(loss)/d(weight). Backpropagation computes all {weights:,} gradients in one pass from the loss back to the first
layer. Here the arrows show gradients instead of weights:</p>
{start["gradients"]}
<p>The frame below shows this pass step by step. Press Play, or use the arrow keys inside it.</p>
<iframe title="Backpropagation, step by step" srcdoc="{html.escape(start["steps"])}"></iframe>

<h2>7. One step of SGD, with its learning rate</h2>
<p>Each weight moves against its gradient, scaled by the <strong>learning rate</strong>, here {lr:g}:
new weight = old weight &minus; learning rate &times; gradient. This is the whole of <strong>stochastic gradient
descent</strong>, the optimiser. After one such step on this image, its loss is {start["loss_after"]:.3f} instead of
{start["loss"]:.3f}, and the answer is {start["belief_after"]}.</p>
{start["step"]}

<h2>8. Epochs: again and again</h2>
<p>In one <strong>epoch</strong> the network trains on every image once, {batch} at a time, with a step after each
{batch}. Over {epochs} epochs, the answer for our {kind} went from {pair(beliefs[1])} after the first epoch to
{pair(beliefs[-1])}, towards [1, 0]. Of the held-out images, {history["val_accuracy"][0]:.0%} were classified correctly
after the first epoch and {history["val_accuracy"][-1]:.1%} after the last. Move the slider to see each epoch.</p>
{film.body("h3")}

<h2>9. Another learning rate, another optimiser</h2>
<p>These runs start from the same initial weights and last {short} epochs each. If the learning rate is too small, the
loss hardly falls; if it is too large, every step overshoots, and the loss stays high. <strong>Adam</strong> gives every
weight its own step size, from the recent sizes of its gradients.</p>
{curves(compared)}
</main>"""


def one_step(model, cat, classes, lr):
    """Return pictures and numbers of the first forward pass, backward pass and step for one image."""
    loss_of, optimizer = nn.CrossEntropyLoss(), nn.SGD(model.parameters(), lr=lr)
    network_before = nn.draw(model, cat, names=classes).svg()
    optimizer.zero_grad()  # the model was trained before, and gradients accumulate
    with autograd.watch():
        logits = model(Tensor(cat[None], name="image"))
        loss = loss_of(logits, np.array([0]))
        loss.name = "loss"
        loss.backward()
    steps = autograd.draw(loss, names=model).page().text
    last = model[-1]
    old, gradient = last.weight.data[0], last.weight.grad.data[0]
    gradients = nn.draw(model, cat, gradients=True, names=classes).svg()
    node, products = one_node(model[0], cat)
    optimizer.step()
    after = model(cat[None])
    p = nn.functional.softmax(logits.data)[0]
    largest = np.argsort(-np.abs(gradient))[:6]
    rows = [
        [
            f"from node {i + 1}",
            f"{old[i]:.6f}",
            f"{gradient[i]:+.6f}",
            f"{lr * gradient[i]:+.8f}",
            f"{last.weight.data[0, i]:.6f}",
        ]
        for i in largest
    ]
    title = f"weight into “{classes[0]}”"
    return {
        "network": f"<div class='network'>{network_before}</div>",
        "arbitrary": ", ".join(f"{w:.3f}" for w in old[:6]),
        "node": node,
        "products": products,
        "logits": ", ".join(f"{v:.3f}" for v in logits.data[0]),
        "belief": pair(p),
        "p": float(p[0]),
        "loss": loss.item(),
        "gradients": f"<div class='network'>{gradients}</div>",
        "steps": steps,
        "loss_after": loss_of(after, np.array([0])).item(),
        "belief_after": "[" + ", ".join(f"{v:.4f}" for v in nn.functional.softmax(after.data)[0]) + "]",
        "step": table([title, "old weight", "gradient", f"{lr:g} × gradient", "new weight"], rows),
    }


def one_node(layer, cat):
    """Explain the most active node of the first hidden layer: a text and a table of its largest products."""
    shape = (round((cat.size / 3) ** 0.5),) * 2 + (3,)
    sums = layer(cat).data
    node = int(np.argmax(sums))
    products = layer.weight.data[node] * cat
    largest = np.argsort(-np.abs(products))[:4]
    places = [np.unravel_index(i, shape) for i in largest]
    rows = [
        [
            f"row {r + 1}, column {c + 1}, {('red', 'green', 'blue')[k]}",
            f"{cat[i]:.3f}",
            f"{layer.weight.data[node, i]:.4f}",
            f"{products[i]:+.4f}",
        ]
        for i, (r, c, k) in zip(largest, places, strict=True)
    ]
    rows.append([f"and {cat.size - 4:,} others", "", "", f"{products.sum() - products[largest].sum():+.4f}"])
    words = (
        f"Node {node + 1} of the first hidden layer multiplies each of the {cat.size:,} pixel values by the weight of its "
        f"arrow and adds the products: {products.sum():.3f}. With its bias, {layer.bias.data[node]:+.3f}, the sum is "
        f"{sums[node]:.3f}. The <strong>activation function</strong> ReLU keeps a positive number and replaces a negative "
        f"one by 0. Here it returns {max(0.0, sums[node]):.3f}."
    )
    return words, table(["pixel", "value", "weight", "product"], rows)


def gallery(images, labels, classes):
    """Return a few images of each class as HTML."""
    parts = []
    for label, name in enumerate(classes):
        shown = images[np.flatnonzero(labels == label)[:8]]
        pictures = "".join(
            f'<img src="{nn.drawing.png(image.reshape(32, 32, 3))}" alt="a {html.escape(name)}">' for image in shown
        )
        parts.append(f"<figure>{pictures}<figcaption>{html.escape(name)}</figcaption></figure>")
    return f"<div class='gallery'>{''.join(parts)}</div>"


def table(head, rows):
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table class='numbers'><tr>{''.join(f'<th>{html.escape(c)}</th>' for c in head)}</tr>{cells}</table></div>"


def curves(compared):
    """Draw the losses of several runs: x is the epoch, y the loss."""
    width, height, left, top, bottom = 620, 260, 46, 14, 34
    most = 1.4 * float(np.median([losses[0] for losses in compared.values()]))
    dashes = ["", "7 4", "2 4", "9 3 2 3"]
    colours = ["var(--blue)", "var(--green)", "var(--vermillion)", "var(--ink)"]
    parts = []
    for (name, losses), dash, colour in zip(compared.items(), dashes, colours, strict=True):
        step = (width - left - 190) / max(1, len(losses) - 1)
        spots = [
            (left + i * step, top + (height - top - bottom) * (1 - min(v, most) / most)) for i, v in enumerate(losses)
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots if np.isfinite(y))
        row = top + 14 + 20 * len(parts)
        parts.append(
            f'<g stroke="{colour}"><polyline points="{points}" fill="none" stroke-width="2.2" stroke-dasharray="{dash}"/>'
            f'<line x1="{width - 172}" x2="{width - 140}" y1="{row - 4}" y2="{row - 4}" stroke-width="2.2" '
            f'stroke-dasharray="{dash}"/></g><text x="{width - 134}" y="{row}">{html.escape(name)}</text>'
        )
    base = height - bottom
    return (
        f'<div class="scroll"><svg class="curve" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="loss by epoch for several learning rates"><line class="axis" x1="{left}" x2="{width - 190}" y1="{base}" '
        f'y2="{base}"/><line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{base}"/>{"".join(parts)}'
        f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{most:.2f}</text><text x="{left - 6}" y="{base + 4}" '
        f'text-anchor="end">0</text><text x="{left}" y="{height - 10}">loss, epochs 1 to {len(spots)}</text></svg></div>'
    )
