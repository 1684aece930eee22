"""The estimators pass scikit-learn's own checks, and work where its own estimators do."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data, parametrize_with_checks

import nn
from nn.sklearn import NeuralNetClassifier, NeuralNetRegressor


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [NeuralNetClassifier(epochs=60, random_state=0), NeuralNetRegressor(epochs=60, random_state=0)],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "batches and float32, as for scikit-learn's own networks"
    },
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [NeuralNetClassifier, NeuralNetRegressor])
def test_in_one_batch_of_doubles_a_weight_is_a_sample_repeated(kind):
    def make(features, outputs):
        return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, outputs)).double()

    estimator = kind(make, epochs=60, batch_size=10_000, random_state=0)
    check_sample_weight_equivalence_on_dense_data(kind.__name__, estimator)


def test_they_work_in_pipelines_searches_and_cross_validation():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), NeuralNetClassifier(epochs=20, random_state=0))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.9
    search = GridSearchCV(pipeline, {"neuralnetclassifier__hidden": [2, 16], "neuralnetclassifier__lr": [0.01]}, cv=2)
    assert search.fit(X, y).best_score_ > 0.85


def test_they_clone_and_pickle():
    X, y = load_diabetes(return_X_y=True)
    model = NeuralNetRegressor(epochs=5, random_state=1).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params() and not hasattr(clone(model), "module_")
    np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), model.predict(X))


def test_any_module_or_a_function_that_makes_one():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]

    def make(features, outputs):
        return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, outputs))

    for module in (make, make(4, 3), make(4, 3).double()):
        model = NeuralNetClassifier(module, epochs=60, optimizer=nn.AdamW, lr=0.02, random_state=0).fit(X, names)
        assert model.score(X, names) > 0.9 and model.predict(X[:1])[0] in names
        assert np.allclose(model.predict_proba(X).sum(axis=1), 1)


def test_several_targets_and_callbacks():
    X, y = load_diabetes(return_X_y=True)
    Y = np.stack([y, -y, y * 0 + 3], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = NeuralNetRegressor(epochs=50, callbacks=[nn.EarlyStopping(patience=2)], random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape and np.allclose(model.predict(X)[:, 2], 3, atol=0.5)
    assert model.history_.stopped or model.n_iter_ == 50


# ---- weights, and training step by step


def blobs(n=120, noise=0.0):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2))
    y = (X[:, 0] + noise * rng.normal(size=n) > 0).astype(int)
    return X, y


@pytest.mark.parametrize("kind", [NeuralNetClassifier, NeuralNetRegressor])
def test_equal_weights_change_nothing_and_weights_of_zero_leave_samples_out(kind):
    X, y = blobs()
    weight = np.arange(len(y)) % 2
    plain, equal, half, some = (
        kind(epochs=5, random_state=0).fit(data, labels, w)
        for data, labels, w in ((X, y, None), (X, y, np.full(len(y), 7.0)), (X[1::2], y[1::2], None), (X, y, weight))
    )
    np.testing.assert_allclose(equal._outputs(X), plain._outputs(X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(some._outputs(X), half._outputs(X), rtol=1e-4, atol=1e-5)
    assert not np.allclose(some._outputs(X), plain._outputs(X), rtol=1e-3)


def test_one_step_with_weights_is_the_step_of_the_weighted_loss():
    X, y = blobs(20)
    weight = np.random.default_rng(1).uniform(0.1, 3, 20)
    layer = nn.Linear(2, 2).double()
    found = NeuralNetClassifier(layer, epochs=1, batch_size=20, optimizer="SGD", lr=0.1, random_state=0)
    found.fit(X, y, sample_weight=weight)
    each = nn.CrossEntropyLoss(reduction="none")(layer(X), y)
    ((each * weight).sum() / weight.sum()).backward()
    expected = layer.weight.data - 0.1 * layer.weight.grad.data
    np.testing.assert_allclose(found.module_.weight.data, expected, rtol=1e-10)


def test_scores_are_weighted_and_weights_of_another_length_are_refused():
    X, y = blobs(noise=0.5)
    model = NeuralNetClassifier(epochs=5, random_state=0).fit(X, y)
    right = model.predict(X) == y
    assert model.score(X, y, sample_weight=right.astype(float)) == 1
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(X, y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="non-zero"):
        model.fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        model.fit(X, y, sample_weight=np.where(y == 0, -1.0, 1.0))


def test_class_weights_move_the_border_and_multiply():
    X, y = blobs(400, noise=1.0)
    plain, heavy = (
        NeuralNetClassifier(epochs=20, random_state=0, class_weight=w).fit(X, y).predict(X).mean()
        for w in (None, {0: 1.0, 1: 20.0})
    )
    assert heavy > plain + 0.2
    by_class = NeuralNetClassifier(epochs=2, random_state=0, class_weight={0: 1.0, 1: 3.0}).fit(X, y, np.ones(400))
    by_sample = NeuralNetClassifier(epochs=2, random_state=0).fit(X, y, np.where(y == 1, 3.0, 1.0))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))
    NeuralNetClassifier(epochs=1, class_weight="balanced").fit(X, y)


@pytest.mark.parametrize("kind", [NeuralNetClassifier, NeuralNetRegressor])
def test_partial_fits_are_the_epochs_of_a_fit(kind):
    X, y = blobs()
    whole = kind(epochs=4, random_state=0).fit(X, y)
    steps = kind(random_state=0)
    classes = {"classes": [0, 1]} if kind is NeuralNetClassifier else {}
    for _ in range(2):
        steps.partial_fit(X, y, **classes)
    steps = pickle.loads(pickle.dumps(steps))
    for _ in range(2):
        steps.partial_fit(X, y)
    np.testing.assert_array_equal(steps.predict(X), whole.predict(X))
    np.testing.assert_array_equal(steps._outputs(X), whole._outputs(X))
    assert steps.n_iter_ == 4 and steps.history_["loss"] == whole.history_["loss"]
    assert whole.partial_fit(X, y, sample_weight=y).n_iter_ == 5


def test_a_classifier_learns_classes_that_come_later_and_refuses_others():
    X, y = blobs()
    names = np.array(["no", "yes"])[y]
    model = NeuralNetClassifier(random_state=0, lr=0.05)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, names)
    for _ in range(30):
        for part in (names == "no", names == "yes"):
            model.partial_fit(X[part], names[part], classes=["yes", "no"])
        model.partial_fit(X, names)
    assert model.score(X, names) > 0.9 and model.classes_.tolist() == ["no", "yes"]
    with pytest.raises(ValueError, match="'maybe' is not among the classes"):
        model.partial_fit(X[:2], ["maybe", "no"])
    with pytest.raises(ValueError, match="classes were"):
        model.partial_fit(X, names, classes=["no", "maybe"])
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :1], names)
    with pytest.raises(ValueError, match="give partial_fit a dict"):
        NeuralNetClassifier(class_weight="balanced").partial_fit(X, names, classes=["no", "yes"])
    with pytest.raises(ValueError, match="1 outputs in the first call"):
        NeuralNetRegressor().partial_fit(X, y).partial_fit(X, np.stack([y, y], axis=1))


def test_data_on_disk_stay_there_for_scores(tmp_path):
    X, y = blobs()
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    one, other = (NeuralNetClassifier(epochs=2, random_state=0).fit(data, y) for data in (X.astype(np.float32), mapped))
    assert one.score(X, y) == other.score(mapped, y)
