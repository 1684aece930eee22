"""What scientists differentiate: a likelihood, an ODE, a fit, an equation's residual, a network's Hessian; float64.

A function takes the namespace `xp` that it computes with (numpy, torch, jax.numpy or HIPS's numpy), so that all
contenders run the same lines; only the gradients by hand are written out.
"""

import functools

import numpy as np

from harness import Case

SAMPLES, STEPS, STATES, ROWS, COLUMNS, POINTS, UNITS = 200, 1000, 10, 500, 30, 256, 32
RNG = np.random.default_rng(0)


def plaingrad(wrap=lambda function: function):
    import autograd

    return np, autograd, wrap, lambda array: array


def compiled():
    import autograd

    return plaingrad(autograd.compile)


def pytorch(wrap=lambda function: function):
    import torch

    return torch, torch.func, wrap, torch.tensor


def torch_compile():
    import torch

    return pytorch(torch.compile)


def jax_jit():
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.numpy, jax, jax.jit, jax.numpy.array


def hips():
    import autograd.numpy as anp

    import autograd

    return anp, autograd, lambda function: function, lambda array: array


# Each returns the namespace, the module of derivatives, the compiler, and what makes its arrays.
LIBRARIES = {
    "eager": plaingrad,
    "compiled": compiled,
    "pytorch": pytorch,
    "torch_compile": torch_compile,
    "jax_jit": jax_jit,
    "hips": hips,
}


def value_and_gradient(library, function):
    """Return a function of a point that computes the value and the gradient, and what makes the library's arrays."""
    xp, derivatives, wrap, array = library()
    loss = lambda point: function(xp, derivatives, array, point)
    if not hasattr(derivatives, "grad_and_value"):
        return wrap(derivatives.value_and_grad(loss)), array
    both = derivatives.grad_and_value(loss)  # PyTorch's order
    return wrap(lambda point: both(point)[::-1]), array


def gradients(function, point, **others):
    """Map contenders to functions that make steps, which return the value and the gradient at a point.

    The arguments of a case are handed on to the function.
    """

    def made(library, *args):
        both, array = value_and_gradient(library, functools.partial(function, *args))
        start = array(point)
        if library is jax_jit:
            return lambda: [part.block_until_ready() for part in both(start)]
        return lambda: both(start)

    return {**{name: functools.partial(made, library) for name, library in LIBRARIES.items()}, **others}


# ---- the likelihood of a Gaussian process (Rasmussen and Williams, "Gaussian Processes", 2006, equations 5.8 and 5.9)

PLACES = np.sort(RNG.uniform(0, 10, SAMPLES))
SQUARES, SEEN = (PLACES[:, None] - PLACES) ** 2, np.sin(PLACES) + 0.1 * RNG.standard_normal(SAMPLES)
SCALES = np.log([1.0, 1.0, 0.2])


def likelihood(xp, _, array, scales):
    """The negative log likelihood, without its constant, for the logarithms of length, height and noise."""
    length, height, noise = xp.exp(scales)
    seen = array(SEEN)
    K = height**2 * xp.exp(-0.5 * array(SQUARES) / length**2) + noise**2 * array(np.eye(SAMPLES))
    return 0.5 * (seen @ xp.linalg.solve(K, seen)) + 0.5 * xp.linalg.slogdet(K)[1]


def likelihood_by_hand():
    def step():
        length, height, noise = np.exp(SCALES)
        smooth = height**2 * np.exp(-0.5 * SQUARES / length**2)
        K = smooth + noise**2 * np.eye(SAMPLES)
        inverse = np.linalg.inv(K)
        solved = inverse @ SEEN
        inner = 0.5 * (inverse - np.outer(solved, solved))
        slopes = [
            (inner * smooth * SQUARES).sum() / length**2,
            2 * (inner * smooth).sum(),
            2 * noise**2 * np.trace(inner),
        ]
        return 0.5 * (SEEN @ solved) + 0.5 * np.linalg.slogdet(K)[1], np.array(slopes)

    return step


# ---- an ordinary differential equation, dx/dt = tanh(W x), by Euler's method

MATRIX, START, STEP = RNG.standard_normal((STATES, STATES)) * 0.3, RNG.standard_normal(STATES), 0.01


def ode(steps, xp, _, array, W):
    """The mean square of the state after all steps."""
    x = array(START)
    for _ in range(steps):
        x = x + STEP * xp.tanh(W @ x)
    return (x * x).mean()


def ode_by_hand(steps):
    def step():
        states, slopes = [START], []
        for _ in range(steps):
            slopes.append(np.tanh(MATRIX @ states[-1]))
            states.append(states[-1] + STEP * slopes[-1])
        g, total = 2 / STATES * states[-1], np.zeros_like(MATRIX)
        for x, y in zip(reversed(states[:-1]), reversed(slopes), strict=True):
            inner = STEP * g * (1 - y * y)
            total += np.outer(inner, x)
            g = g + inner @ MATRIX
        return (states[-1] ** 2).mean(), total

    return step


def ode_scanned(steps):
    import jax

    def scanned(xp, derivatives, array, W):
        x, _ = jax.lax.scan(lambda x, _: (x + STEP * xp.tanh(W @ x), None), array(START), None, steps)
        return (x * x).mean()

    return gradients(scanned, MATRIX)["jax_jit"]()


# ---- a logistic regression, fitted by SciPy's L-BFGS

FEATURES, CLASSES = RNG.standard_normal((ROWS, COLUMNS)), RNG.integers(0, 2, ROWS) * 2.0 - 1


def logistic(xp, _, array, w):
    """The mean logistic loss of labels -1 and 1, with a penalty that makes the minimum unique."""
    return xp.log1p(xp.exp(-array(CLASSES) * (array(FEATURES) @ w))).mean() + 0.01 * (w * w).sum()


def logistic_by_hand(w):
    e = np.exp(-CLASSES * (FEATURES @ w))
    return np.log1p(e).mean() + 0.01 * (w * w).sum(), -(CLASSES * e / (1 + e)) @ FEATURES / ROWS + 0.02 * w


def fit(both, array=lambda w: w):
    """Return a step that fits the logistic regression with a function that returns value and gradient."""
    from scipy.optimize import minimize

    def pair(w):
        value, gradient = both(array(w))
        return float(value), np.asarray(gradient)

    return lambda: minimize(pair, np.zeros(COLUMNS), jac=True, method="L-BFGS-B", tol=1e-9).x


FITS = {
    name: lambda library=library: fit(*value_and_gradient(library, logistic)) for name, library in LIBRARIES.items()
}


# ---- an equation's residual, u'' + u, of a network u(x) = tanh(x w + b) v, as a physics-informed network has it

INSIDE, WEIGHTS = RNG.uniform(0, 3, (POINTS, 1)), RNG.standard_normal((3, UNITS))


def residual(xp, derivatives, array, parameters):
    """The mean square of the residual at all points; u'' is differentiated, not written out."""
    w, b, v = parameters[0], parameters[1], parameters[2]
    u = lambda x: xp.tanh(x * w + b) @ v
    slope = derivatives.grad(lambda x: u(x).sum())
    bend = derivatives.grad(lambda x: slope(x).sum())
    x = array(INSIDE)
    return ((bend(x)[:, 0] + u(x)) ** 2).mean()


def residual_by_hand():
    w, b, v = WEIGHTS

    def step():
        t = np.tanh(INSIDE * w + b)
        s = 1 - t * t
        bends = -2 * t * s * w * w
        r = (t + bends) @ v
        g = 2 / POINTS * r
        outer = np.outer(g, v)
        inner = outer * (s - 2 * w * w * s * (s - 2 * t * t))
        return (r * r).mean(), np.stack(
            [(inner * INSIDE - 4 * outer * t * s * w).sum(0), inner.sum(0), g @ (t + bends)]
        )

    return step


# ---- the Hessian of a network's loss in all of its 81 weights

X, Y, FLAT = RNG.standard_normal((64, 6)), RNG.standard_normal(64), RNG.standard_normal(81) * 0.4


def network(xp, _, array, flat):
    """The mean square error of a network 6-10-1, its weights in one vector."""
    hidden = xp.tanh(array(X) @ flat[:60].reshape((6, 10)) + flat[60:70])
    return ((hidden @ flat[70:80] + flat[80] - array(Y)) ** 2).mean()


def hessian(library):
    xp, derivatives, wrap, array = library()
    second, start = wrap(derivatives.hessian(lambda flat: network(xp, None, array, flat))), array(FLAT)
    return (lambda: second(start).block_until_ready()) if library is jax_jit else lambda: second(start)


def _case(name, about, ways, *args, **notes):
    cannot = {} if "by_hand" not in ways else {"mygrad": "has no linear algebra and no second derivatives"}
    return Case("Science", name, about, ways, args, cannot=cannot, notes=notes)


CASES = [
    _case(
        f"likelihood of a Gaussian process, {SAMPLES} samples",
        "by hand: one inverse",
        {"by_hand": likelihood_by_hand, **gradients(likelihood, SCALES)},
    ),
    _case(
        f"ODE of {STEPS} steps",
        f"{STATES} states, Euler's method",
        {"by_hand": ode_by_hand, **gradients(ode, MATRIX, jax_jit=ode_scanned)},
        STEPS,
        compiled="a program of 17 lines a step, which takes 8 s to compile",
        jax_jit="as lax.scan, one compiled loop",
    ),
    _case(
        "logistic fit by SciPy's L-BFGS",
        f"{ROWS} rows, {COLUMNS} columns",
        {"by_hand": lambda: fit(logistic_by_hand), **FITS},
    ),
    _case(
        f"residual of an equation at {POINTS} points",
        f"a network of {UNITS} units, its second derivative, and the gradient of both",
        {"by_hand": residual_by_hand, **gradients(residual, WEIGHTS)},
    ),
    _case(
        "Hessian of 6-10-1 in its 81 weights",
        "64 rows",
        {name: lambda library=library: hessian(library) for name, library in LIBRARIES.items()},
    ),
]
