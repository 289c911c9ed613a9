"""What a notebook shows: counts, advice, a map of the residuals, coefficients; nothing that the user wrote is markup."""

from dataclasses import replace
from xml.etree import ElementTree

import jax
import numpy as np
import pytest

from jaxlr import SolverError, Status, cross_validate, fit, raise_on_failure
from tests.helpers import known_fit

X = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1]], np.float32)
Y = np.array([0, 1, 0, 1])
LABELS = np.array([0, 1, 2, 1])


def parsed(fits):
    return ElementTree.fromstring(fits._repr_html_().replace("&#9632;", "*"))


def test_one_model_shows_its_coefficients_the_largest_first():
    page = parsed(replace(fit(X, Y, l2=0.1), names=("<script>", "b")))
    rows = [[cell.text for cell in row] for row in page.iter("tr")]
    assert {rows[2][0], rows[3][0]} == {"<script>", "b"}
    assert abs(float(rows[2][1])) >= abs(float(rows[3][1]))
    assert "1 converged" in "".join(page.itertext())


@pytest.mark.parametrize("status", Status)
def test_a_model_that_did_not_converge_raises_whatever_it_did(status):
    one = replace(known_fit([1.0], 0.0), status=np.int32(status))
    if status == Status.CONVERGED:
        raise_on_failure(one)
        return
    with pytest.raises(SolverError, match=rf"1 of 1 models did not converge:\n.*{status.name}"):
        raise_on_failure(one)


@pytest.mark.slow
def test_a_model_of_several_classes_shows_the_coefficients_of_each():
    one = fit(X, LABELS, num_classes=3, l2=0.1)
    page = parsed(replace(one, names=("a", "b")))
    shown = {row[0].text: float(row[1].text) for row in list(page.iter("tr"))[1:]}
    expected = {f"{name} [{k}]": one.params.coef[k, j] for k in range(3) for j, name in enumerate("ab")}
    expected |= {f"(intercept) [{k}]": one.params.intercept[k] for k in range(3)}
    assert shown == {name: float(f"{value:.5g}") for name, value in expected.items()}
    path = fit(X, LABELS, num_classes=3, l2=np.array([0.1, 1.0]))
    assert str(path).splitlines()[0] == f"2 models by {path.solver}, shape (2,): 2 converged"
    assert len(list(parsed(path).iter("title"))) == 2


@pytest.mark.slow
def test_only_the_largest_of_many_coefficients_are_listed():
    wide = np.random.default_rng(0).normal(size=(30, 50)).astype(np.float32)
    page = parsed(fit(wide, np.arange(30) % 2, l2=1.0))
    assert len(list(page.iter("tr"))) == 22
    assert "and 30 smaller ones" in "".join(page.itertext())


@pytest.mark.parametrize(("shape", "cells"), [((3,), 3), ((2, 3), 6), ((2, 2, 3), 12), ((30, 400), 2400)])
def test_a_batch_is_a_map_of_its_models_or_of_the_worst_in_each_cell(shape, cells):
    one = fit(X, Y, l2=0.1)
    batch = jax.tree.map(lambda leaf: np.broadcast_to(np.asarray(leaf), shape + leaf.shape).copy(), one)
    batch.status[(-1,) * len(shape)] = Status.SEPARATED
    page = parsed(batch)
    titles = [title.text for title in page.iter("title")]
    assert len(titles) == cells
    assert sum("SEPARATED" in title for title in titles) == 1
    assert "SEPARATED" in titles[-1]
    assert Status.SEPARATED.advice in "".join(page.itertext())


@pytest.mark.slow
def test_an_empty_selection_is_no_models():
    path = fit(X, Y, l2=np.array([0.1, 1.0]))
    none = jax.tree.map(lambda leaf: np.asarray(leaf)[np.zeros(2, bool)], path)
    assert str(none) == "0 models by newton, shape (0,): 0 converged"
    assert "0 models" in "".join(parsed(none).itertext())


@pytest.mark.slow
def test_a_cross_validation_shows_its_choice_and_its_fits():
    cv = cross_validate(X, Y, l2=np.array([0.1, 1.0]), folds=1.0 - np.eye(4)[[0, 3]])
    shown = cv._repr_html_()
    assert shown.startswith("<pre>2 folds x 2 penalties")
    assert shown.endswith(cv.fits._repr_html_())


def test_a_traced_fit_says_so():
    shown = []

    def traced(X):
        fits = fit(X, Y, l2=0.1)
        shown.append(fits._repr_html_())
        return fits.value

    jax.jit(traced)(X)
    assert shown == ["<pre>Fit(newton, traced)</pre>"]
