"""Predict numbers with their uncertainty: a Gaussian for each patient in scikit-learn's diabetes table.

The network has two outputs, a mean and the logarithm of a variance, and is trained on the negative log-likelihood of
the measurements (Nix and Weigend 1994).  Held-out patients show whether its uncertainty is calibrated.
"""

import sys

import numpy as np

import nn


def load(seed=0):
    """Load standardised features (n, 10) and targets (n, 1), 342 to train on and 100 held out, and the scale."""
    try:
        from sklearn.datasets import load_diabetes
    except ImportError as error:
        raise SystemExit("the table comes with scikit-learn: pip install 'plaingrad[examples]'") from error
    X, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    X, y = X[order], y[order, None]
    X, scale = X / X[:342].std(axis=0), y[:342].std()
    y = (y - y[:342].mean()) / scale
    X, y = X.astype(np.float32), y.astype(np.float32)
    return X[:342], y[:342], X[342:], y[342:], scale


def main():
    X, y, held_X, held_y, scale = load()
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Dropout(0.1), nn.Linear(32, 2))
    gaussian = nn.GaussianNLLLoss()

    def loss(output, target):
        return gaussian(output[:, :1], target, np.exp(output[:, 1:]))

    history = nn.fit(
        model, X, y, loss=loss, epochs=200, batch_size=32, validation=0.2,
        optimizer=nn.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1),
        callbacks=[nn.EarlyStopping(patience=20)], progress=sys.stderr.isatty(),
    )  # fmt: skip
    output = nn.predict(model, held_X)
    mean, spread = output[:, :1], np.exp(0.5 * output[:, 1:])
    found = loss(output, held_y).item()
    constant = 0.5 * (np.log(y.var()) + (held_y - y.mean()) ** 2 / y.var()).mean()
    print(f"{history.epochs} epochs; {history.stopped}")
    print(f"held-out negative log-likelihood: {found:.3f}; one Gaussian for all patients: {constant:.3f}")
    error, usual = np.abs(mean - held_y).mean() * scale, np.abs(held_y).mean() * scale
    print(f"mean absolute error: {error:.1f}; always predicting the average: {usual:.1f}")
    inside = {k: float(np.mean(np.abs(held_y - mean) < k * spread)) for k in (1, 2)}
    print(
        f"within 1 standard deviation: {inside[1]:.0%} of patients (a Gaussian: 68%); within 2: {inside[2]:.0%} (95%)"
    )
    for i in np.argsort(spread[:, 0])[[0, 50, 99]]:
        said = f"{mean[i, 0] * scale:+6.1f} ± {spread[i, 0] * scale:5.1f}"
        print(f"  one patient, relative to the average: predicted {said}, measured {held_y[i, 0] * scale:+6.1f}")
    return found < constant and 0.55 < inside[1] < 0.85


if __name__ == "__main__":
    if not main():
        raise SystemExit("the predictions are no better than one Gaussian, or the uncertainty is not calibrated")
