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
from sklearn.utils.estimator_checks import parametrize_with_checks

import nn
from nn.sklearn import NeuralNetClassifier, NeuralNetRegressor


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [NeuralNetClassifier(epochs=60, random_state=0), NeuralNetRegressor(epochs=60, random_state=0)]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


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
