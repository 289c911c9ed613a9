"""Predictions and marginal effects of real data: ``python -m tests.reference.margins`` writes margins.json.

* "statsmodels": get_prediction of GLM, get_margeff of Logit and MNLogit, whose estimates are roots of the gradient to the last
  digits. Elasticities of MNLogit end in an error there.
* "Stata": what its margins printed of Spector's data, from the tests of statsmodels; 6 to 9 digits.
"""

import json
from typing import Any

from tests.reference import mnlogit
from tests.reference.robust import HERE, _rounded, load

SETS = ("spector", "lbw_stata")
PLACES, METHODS = ("overall", "mean", "median"), ("dydx", "eyex", "dyex", "eydx")
BINARY = {"spector": [2], "lbw_stata": [2, 3, 4, 6, 7]}
ROWS = 10  # that are predicted


def _binary(name: str) -> dict[str, Any]:
    import numpy as np
    import statsmodels.api as sm

    data = load(name)
    A, y = np.column_stack([np.array(data["X"]), np.ones(len(data["y"]))]), np.array(data["y"])
    clusters = np.unique(np.array(data["ways"], float)[:, 0], return_inverse=True)[1]
    found: dict[str, Any] = {"predictions": {}, "effects": {}}
    for kind, options in (("model", {}), ("cluster", {"cov_type": "cluster", "cov_kwds": {"groups": clusters}})):
        glm = sm.GLM(y, A, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100, **options)
        frame = glm.get_prediction(A[:ROWS]).summary_frame()
        found["predictions"][kind] = {column: frame[column].tolist() for column in frame}
    logit = sm.Logit(y, A).fit(method="newton", tol=1e-14, maxiter=100, disp=0)
    for place in PLACES:
        for method in METHODS:
            effects = logit.get_margeff(at=place, method=method)
            found["effects"][f"{place} {method}"] = [effects.margeff.tolist(), effects.margeff_se.tolist()]
    for method in ("dydx", "eydx"):
        effects = logit.get_margeff(at="overall", method=method, dummy=True)
        found["effects"][f"discrete {method}"] = [effects.margeff.tolist(), effects.margeff_se.tolist()]
    return found


def _several() -> dict[str, Any]:
    import numpy as np
    import statsmodels.api as sm

    X, labels = map(np.asarray, mnlogit.load("anes96"))
    result = sm.MNLogit(labels, np.column_stack([X, np.ones(len(X))])).fit(method="newton", maxiter=100, tol=1e-14, disp=0)
    effects = {place: result.get_margeff(at=place) for place in ("overall", "mean")}
    return {place: [found.margeff.T.tolist(), found.margeff_se.T.tolist()] for place, found in effects.items()}


def _stata() -> dict[str, Any]:
    from statsmodels.discrete.tests.results.results_discrete import Spector

    printed = {}
    for place in PLACES:
        for method in METHODS:
            name = f"margeff_nodummy_{method}{'' if place == 'overall' else place}"
            printed[f"{place} {method}"] = [list(map(float, getattr(Spector.logit, name + end))) for end in ("", "_se")]
    for method in ("dydx", "eydx"):
        name = f"margeff_dummy_{method}"
        printed[f"discrete {method}"] = [list(map(float, getattr(Spector.logit, name + end))) for end in ("", "_se")]
    return printed


if __name__ == "__main__":
    found = {name: _binary(name) for name in SETS} | {"anes96": _several(), "Stata, spector": _stata()}
    (HERE / "margins.json").write_text(json.dumps(_rounded(found)).replace(' "', '\n"') + "\n")
