"""Write the page of `cats_and_dogs.py`: what a network is and how it learns, with the numbers of one run."""

# ruff: noqa: E501, RUF001 (the lines of a page)

import html

import numpy as np
from first_step import first_step, pair, plain, table

import nn


def section(heading, text, picture="", below=""):
    """Return a part of the page: on a wide screen, the picture is beside the text."""
    beside = f"<div class='text'><h2>{heading}</h2>{text}</div><div class='picture'>{picture}</div>"
    return f"<section><div class='beside'>{beside}</div>{below}</section>"


def article(*, model, initial, history, film, beliefs, cat, classes, compared, images, labels, lr, batch):
    """Return the body of the page, with the numbers of this run.

    `beliefs` (epochs + 1, 2) are the predictions for the image `cat` before and after each epoch; `compared` is
    {(name, learning rate): losses on the held-out images} with the run itself first.
    """
    final = model.state_dict()
    model.load_state_dict(initial)
    start = first_step(model, cat, classes, lr)
    model.load_state_dict(final)
    kind, other = (html.escape(name) for name in classes)
    side, epochs = round((cat.size / 3) ** 0.5), history.epochs
    weights = sum(p.size for p in model.parameters())
    picture = nn.drawing.png(cat.reshape(side, side, 3))
    before, after = pair(beliefs[0]), pair(beliefs[-1])

    def our(said):
        """The image that we follow, with a caption."""
        return f"<figure class='ours'><img src='{picture}' alt='our {kind}'><figcaption>our {kind}{said}</figcaption></figure>"

    return f"""<main>
<h1>How a network learns to distinguish {kind}s from {other}s</h1>
<div class="beside"><div class="text">
{our(f": {before} before training, {after} after it")}
<p>Everything on this page comes from one run of <code>nn.fit(model, X, y)</code>, the counterpart of
<code>model.fit</code>. There are {len(images):,} images <em>X</em>, {len(images) - len(images) // 6:,} of them to train
on. Each has a label <em>y</em>: 0 for a {kind}, 1 for a {other}. We follow one {
        kind
    } from start to finish, the first of
the images that were held out. The network never trains on it.</p>
<p>An answer is two probabilities, [{kind}, {other}]. For our {kind} it should be [1, 0].</p></div>
<div class="picture">{gallery(images, labels, classes, side)}</div></div>
{
        section(
            "1. Layers and nodes",
            f'''{our(f": {cat.size:,} numbers")}
<p>A network has columns of nodes, the <strong>layers</strong>, and an arrow from every node of a layer to every node of
the next. A <strong>node</strong> holds one number. The first layer holds the image: {side} x {side} pixels in three
colours are {cat.size:,} numbers. The last layer holds the answer, one node for {kind} and one for {other}. The layers
between them are hidden: they hold neither. Only the first and last nodes of a long layer are drawn. A circle is filled by
its number for our {kind}.</p>''',
            start["network"],
        )
    }
{
        section(
            "2. Weights, random at first",
            f'''<p>Every arrow has a <strong>weight</strong>, a number that multiplies the
value passing along it. There are {weights:,} weights, including the biases, which are added at the nodes. Before training
they are random, so the first answers mean nothing. The table shows the weights of a few arrows into the output node for
{kind}, before training and after it.</p>''',
            some_weights(initial, final, kind),
        )
    }
{
        section(
            "3. What a node does: weights, then the activation function",
            f'''{our(": its pixels and their weights")}
<p>Node {start["node"]} of the first hidden layer multiplies each of the {cat.size:,} pixel values of our {kind} by the
weight of its arrow, and adds the products: {start["sum_of_products"]:.3f}. With its bias, {start["bias"]:+.3f}, the sum is
{start["sums"][0]:.3f}.</p><p>The <strong>activation function</strong> ReLU keeps a positive number and replaces a
negative one by 0. Node {start["node"]} passes {max(0, start["sums"][0]):.3f} on. At node {start["negative"]} the sum is
{start["sums"][1]:.3f}, and it passes {max(0, start["sums"][1]):.3f} on.</p>''',
            start["products"] + start["relu"],
        )
    }
{
        section(
            "4. One forward pass",
            f'''{our(f": {pair(start['belief'])}")}
<p>Our {kind} passes through all layers, from left to right. The result is two numbers, {start["logits"]}. The function
<em>softmax</em> turns them into <strong>probabilities</strong> that sum to 1: {pair(start["belief"])}.</p>''',
            start["softmax"],
        )
    }
{
        section(
            "5. The loss: how wrong was that?",
            f'''{our(f": loss {start['loss']:.3f}")}
<p>The correct answer is [1, 0]. The <strong>loss function</strong> measures the error: it is the negative logarithm of
the probability of the correct class, &minus;log {start["belief"][0]:.3f} = <strong>{start["loss"]:.3f}</strong>. It is 0
for a certain and correct answer, and it grows without bound as the answer becomes certain and wrong. After training, the
loss of our {kind} is {-np.log(beliefs[-1][0]):.3f}.</p>''',
            loss_curve(beliefs, start["loss"]),
        )
    }
{
        section(
            "6. The gradient: d(loss)/d(weight), for every weight",
            f'''{our(f": loss {start['loss']:.3f}")}
<p>How would the loss of our {kind} change if one weight were a little larger? The answer is the <strong>gradient</strong>
of that weight, d(loss)/d(weight). Backpropagation computes all {weights:,} gradients in one pass from the loss back to the
first layer. Here the arrows show gradients instead of weights.</p><p>The frame below shows this pass step by step. Press
Play, or use the arrow keys inside it. Its names are those of the program: 0.weight are the weights into hidden layer 1,
2.weight those into hidden layer 2, and 4.weight those into the output layer.</p>''',
            start["gradients"],
            f'<iframe title="Backpropagation, step by step" srcdoc="{html.escape(start["steps"])}"></iframe>',
        )
    }
{
        section(
            "7. One step of SGD, with its learning rate",
            f'''{our(f": {pair(start['belief_after'], 4)} after one step")}
<p>Each weight moves against its gradient, scaled by the <strong>learning rate</strong>, here {plain(lr)}:
new weight = old weight &minus; learning rate &times; gradient. This is the whole of <strong>stochastic gradient
descent</strong> (SGD), the optimiser. After one such step on our {kind}, its loss is {start["loss_after"]:.4f} instead of
{start["loss"]:.4f}, and the answer is {pair(start["belief_after"], 4)} instead of {pair(start["belief"], 4)}.</p>''',
            start["step"],
        )
    }
{
        section(
            "8. Epochs: again and again",
            f'''{our(f": {after} after epoch {epochs}")}
<p>In one <strong>epoch</strong> the network trains on every image once, {batch} at a time, with a step after each
{batch}. After the first epoch the answer for our {kind} was {pair(beliefs[1])}; after epoch {epochs} it is {after}. Of the
held-out images, {history["val_accuracy"][0]:.0%} were classified correctly after the first epoch and
{history["val_accuracy"][-1]:.1%} after the last.</p><p>Below, move the slider to see each epoch.</p>''',
            belief_curve(beliefs, classes),
            film.body("h3"),
        )
    }
{section("9. Another learning rate, another optimiser", rates_in_words(compared), rate_curves(compared))}
</main>"""


def some_weights(initial, final, kind):
    """Show the weights of a few arrows into the first output node, before and after training."""
    name = [key for key in initial if key.endswith("weight")][-1]
    before, after = np.asarray(initial[name])[0], np.asarray(final[name])[0]
    rows = [[f"from node {i + 1} to “{kind}”", f"{before[i]:.4f}", f"{after[i]:.4f}"] for i in range(8)]
    return table(["arrow", "weight at random", "weight after training"], rows)


def gallery(images, labels, classes, side):
    """Return a few images of each class as HTML."""
    parts = []
    for label, name in enumerate(map(html.escape, classes)):
        shown = images[np.flatnonzero(labels == label)[:10]].reshape(-1, side, side, 3)
        pictures = "".join(f'<img src="{nn.drawing.png(image)}" alt="a {name}">' for image in shown)
        parts.append(f"<figure>{pictures}<figcaption>{name}: label {label}</figcaption></figure>")
    return f"<div class='gallery'>{''.join(parts)}</div>"


def loss_curve(beliefs, loss):
    """Draw -log p, with the loss of the image before and after training."""
    p = np.geomspace(0.01, 1, 120)
    first, last = (float(row[0]) for row in (beliefs[0], beliefs[-1]))
    return nn.drawing.chart(
        {"": (p, -np.log(p))}, x="p, the probability of the correct class", y="loss, −log p",
        points=[(first, loss, f"before: {loss:.3f}"),
                (last, float(-np.log(last)), f"after: {-np.log(last):.3f}")],
    )  # fmt: skip


def belief_curve(beliefs, classes):
    """Draw the prediction for the image by epoch, and name three: the first of at least 0.75, of 0.94, and the last."""
    right, last = beliefs[:, 0], len(beliefs) - 1
    named = sorted({0, last, *(int(np.argmax(right >= p)) for p in (0.75, 0.94) if right.max() >= p)})
    return nn.drawing.chart(
        {name: (range(last + 1), beliefs[:, k]) for k, name in enumerate(classes)}, x="epoch", y="probability",
        points=[(epoch, float(right[epoch]), pair(beliefs[epoch])) for epoch in named], limits=(0, 1), size=(640, 320),
    )  # fmt: skip


def rates_in_words(compared):
    """Say what the other learning rates and Adam did, in numbers of their runs."""
    (this, losses), (_, small), (_, large), (adam, others) = compared.items()
    epochs, (_, lr_small), (_, lr_large) = len(losses), *list(compared)[1:3]
    zigzags = ", and the curve zigzags" if rises(large) > max(2, rises(losses)) else ""
    return f"""<p>These four runs start from the same initial weights and last {epochs} epochs each. The curves are their losses on
the held-out images after each epoch.</p>
<p>With the learning rate of this page, {plain(this[1])}, the loss falls to {losses[-1]:.3f}. It rises in {rises(losses)} of
{epochs - 1} epochs, never by more than {jump(losses):.3f}. {plain(lr_small)} is too small: the loss hardly falls, to
{small[-1]:.3f}. {plain(lr_large)} is too large: steps overshoot{zigzags}. The loss rises in {rises(large)} of {epochs - 1}
epochs, by up to {jump(large):.3f}, and is {large[-1]:.3f} after the last.</p>
<p><strong>Adam</strong> gives every weight its own step size, from the recent sizes of its gradients. With the learning
rate {plain(adam[1])}, its loss is {others[0]:.3f} after the first epoch and {others[-1]:.3f} after the last.</p>"""


def rises(losses):
    """The number of epochs after which the loss was larger than before."""
    return int((np.diff(losses) > 0).sum())


def jump(losses):
    """The largest rise of the loss from one epoch to the next."""
    return max(0.0, float(np.diff(losses).max(initial=0)))


def rate_curves(compared):
    """Draw the losses of all runs, with names at the ends of the lines."""
    most = 1.2 * max(losses[0] for losses in compared.values())  # a zigzag may go beyond it
    lines = {f"{name} {plain(lr)}": (range(1, len(v) + 1), v) for (name, lr), v in compared.items()}
    return nn.drawing.chart(lines, x="epoch", y="loss on held-out images", limits=(0, most), size=(640, 380))
