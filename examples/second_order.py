"""Train a small network with Newton's method, which gets the curvature from Hessian-vector products.

The Hessian of a loss with n weights has n x n numbers, but its product with a vector costs about two gradients
(Pearlmutter 1994): `autograd.hvp`.  Conjugate gradients need only such products to solve for the Newton step (Steihaug
1983), and a trust region limits its length.  For comparison, gradient descent and L-BFGS (`nn.LBFGS`) get the same
number of gradients.
"""

import time

import numpy as np

import autograd
import nn


def problem(seed=0):
    """Return a loss of the weights of a 1-12-12-1 network, as one vector, and the initial weights."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-3, 3, 60)[:, None]
    y = np.sin(2 * x) * np.exp(-0.2 * x**2)
    shapes = [(1, 12), (12,), (12, 12), (12,), (12, 1), (1,)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    start = np.concatenate([rng.normal(size=n) / np.sqrt(shape[0]) for n, shape in zip(sizes, shapes, strict=True)])

    def loss(w):
        parts, at = [], 0
        for n, shape in zip(sizes, shapes, strict=True):
            parts.append(np.reshape(w[at : at + n], shape))
            at += n
        a, b, c, d, e, f = parts
        return np.mean((np.tanh(np.tanh(x @ a + b) @ c + d) @ e + f - y) ** 2)

    return loss, start


def newton(loss, w, steps, radius=1.0):
    """Run Newton's method with conjugate gradients in a trust region.

    Returns the weights, and (loss, gradients used) after each step.
    """
    value_and_gradient = autograd.value_and_grad(loss)
    f, g = value_and_gradient(w)
    used, found = 1, [(float(f), 1)]
    for _ in range(steps):
        step, products = steihaug(loss, w, g, radius)
        f_new, g_new = value_and_gradient(w + step)
        predicted = -(g @ step + 0.5 * step @ autograd.hvp(loss)(w, step))
        used += 1 + 2 * (products + 1)  # a product costs about two gradients
        agreement = (f - f_new) / max(predicted, 1e-300)
        if agreement < 0.25:
            radius *= 0.25
        elif agreement > 0.75:
            radius *= 2.0
        if agreement > 0.05:
            w, f, g = w + step, f_new, g_new
        found.append((float(f), used))
    return w, found


def steihaug(loss, w, g, radius):
    """Run conjugate gradients on the quadratic model up to the edge of the region or to negative curvature."""
    step, r, d = np.zeros_like(w), g, -g
    for n in range(1, 60):
        curved = autograd.hvp(loss)(w, d)
        bend = d @ curved
        length = (r @ r) / bend if bend > 0 else np.inf
        if bend <= 0 or np.linalg.norm(step + length * d) >= radius:
            a, b, c = d @ d, step @ d, step @ step - radius**2
            return step + (-b + np.sqrt(b * b - a * c)) / a * d, n
        step = step + length * d
        r_new = r + length * curved
        if np.linalg.norm(r_new) < min(0.5, np.sqrt(np.linalg.norm(g))) * np.linalg.norm(g):
            return step, n
        r, d = r_new, -r_new + (r_new @ r_new) / (r @ r) * d
    return step, n


def main():
    loss, start = problem()
    print(f"a network with {start.size} weights; its Hessian has {start.size**2:,} numbers, and is never formed\n")
    began = time.perf_counter()
    _, found = newton(loss, start, 60)
    for i in (0, 5, 10, 20, 40, 60):
        print(f"Newton step {i:2}   loss {found[i][0]:.2e}   cost of {found[i][1]:,} gradients")
    budget, final = found[-1][1], {"Newton and conjugate gradients": found[-1][0]}
    print(f"{time.perf_counter() - began:.1f} s\n")

    w, gradient = start.copy(), autograd.grad(loss)
    for _ in range(budget):
        w -= 0.1 * gradient(w)
    final["gradient descent"] = float(loss(w))
    leaf = autograd.Tensor(start, requires_grad=True)
    optimizer, calls = nn.LBFGS([leaf], line_search_fn="strong_wolfe", max_iter=10**6, max_eval=budget), []

    def closure():
        optimizer.zero_grad()
        value = loss(leaf)
        value.backward()
        calls.append(value.item())
        return value

    optimizer.step(closure)
    final["L-BFGS"] = min(calls)
    for name, value in final.items():
        print(f"{name:32} loss {value:.2e} at the cost of {budget:,} gradients")
    return final


if __name__ == "__main__":
    final = main()
    if not final["Newton and conjugate gradients"] < 0.1 * final["gradient descent"]:
        raise SystemExit("Newton's method should be far ahead of gradient descent")
