"""`nn.fit` compared with scikit-learn's MLPClassifier: five epochs of the digits, the same network, batches and Adam.

Their initial weights differ, so the check is that both classify over 85% of held-out digits correctly.
"""

import numpy as np

from harness import Case

EPOCHS, BATCH, HIDDEN, LR = 5, 32, 128, 2e-3


def data():
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    X, y = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    return X[:1437], y[:1437], X[1437:], y[1437:]


def _sklearn():
    from sklearn.neural_network import MLPClassifier

    X, y, held_X, held_y = data()

    def step():
        model = MLPClassifier(
            (HIDDEN,), solver="adam", alpha=0, batch_size=BATCH, learning_rate_init=LR, max_iter=EPOCHS,
            n_iter_no_change=EPOCHS, tol=0, random_state=0,
        )  # fmt: skip
        model.fit(X, y)
        return model.score(held_X, held_y) > 0.85

    return step


def _eager():
    import nn

    X, y, held_X, held_y = data()

    def step():
        nn.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
        optimizer = nn.Adam(model.parameters(), lr=LR)
        nn.fit(model, X, y, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, progress=False)
        return nn.evaluate(model, held_X, held_y, metrics=["accuracy"])["accuracy"] > 0.85

    return step


CASES = [
    Case("Training", "fit of the digits", f"64-{HIDDEN}-10, Adam, {EPOCHS} epochs, batch {BATCH}",
         {"sklearn": _sklearn, "eager": _eager}),
]  # fmt: skip
