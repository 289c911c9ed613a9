"""Influence and robust covariances of real data, by other roads: ``python -m tests.reference.robust`` writes robust.json.

* "exact": the published formulas in 40-digit arithmetic (exact.py). robust.R prints the same numbers where R is at hand.
* "statsmodels": what it says, where it is right: GLMInfluence; HC0, cluster and HAC of Logit; HC1 to HC3 of the weighted least
  squares of its last step, for cov_type="HC1" to "HC3" of its GLM and Logit are HC0, silently. It has no errors of sampling
  weights.
* "printed": what others printed, from the tests of statsmodels, which has them from Stata, R and SAS.

The rows of most influence are kept, and the sums of squares over all rows; of statsmodels the diagonal of each covariance.
"""

import csv
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEPT_ROWS = 8
# Columns, labels of the clusters of two ways, lags, weights of a survey, and how many rows a row stands for.
SETS: dict[str, dict[str, Any]] = {
    "spector": {
        "columns": ["GPA", "TUCE", "PSI"],
        "ways": lambda row, i: (row["TUCE"], i % 4),
        "lags": 3,
        "weight": lambda row: row["GPA"],
    },
    "remission": {
        "columns": ["cell", "smear", "infil", "li", "blast", "temp"],
        "ways": lambda row, i: (row["li"], i % 5),
        "lags": 2,
        "weight": lambda row: 1 + row["blast"],
    },
    "lbw_stata": {
        "columns": ["age", "lwt", "race_black", "race_other", "smoke", "ptl", "ht", "ui", "ftv"],
        "ways": lambda row, i: (row["age"], i % 6),
        "lags": 4,
        "weight": lambda row: row["lwt"] / 100,
        "times": lambda row: int(1 + row["ftv"]),
    },
    "anes96": {
        "columns": ["logpopul", "selfLR", "age", "educ", "income"],
        "ways": lambda row, i: (row["age"], row["educ"]),
        "lags": 5,
        "weight": lambda row: row["income"],
    },
    "gee_logistic": {
        "columns": ["x1", "x2", "x3"],
        "ways": lambda row, i: (row["cluster"], i % 7),
        "lags": 2,
        "weight": lambda row: 1 + row["x1"] ** 2,
    },
}
FIELDS = ("leverage", "pearson", "deviance", "standardized_pearson", "standardized_deviance", "cooks_distance")


def load(name: str, folder: Path = HERE) -> dict[str, Any]:
    """The table of a set as lists: X, y, clusters of two ways, weights of a survey, and how many rows each stands for."""
    asked = SETS[name]
    with (folder / f"{name}.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return {
        "X": [[row[column] for column in asked["columns"]] for row in rows],
        "y": [float(row["y"] > 3) if name == "anes96" else row["y"] for row in rows],  # of the parties the Republican side
        "ways": [asked["ways"](row, i) for i, row in enumerate(rows)],
        "lags": asked["lags"],
        "weight": [asked["weight"](row) for row in rows],
        "times": [asked["times"](row) for row in rows] if "times" in asked else None,
    }


def _kept(rows: dict[str, list], k: int) -> dict[str, Any]:
    """The rows of most influence, and the sums of squares over all."""
    order = sorted(range(len(rows["leverage"])), key=lambda i: -rows["cooks_distance"][i])
    number = sorted(order[:KEPT_ROWS])
    own = {name: [float(rows[name][i]) for i in number] for name in FIELDS}
    squares: dict[str, Any] = {name: float(sum(value**2 for value in rows[name])) for name in FIELDS}
    squares["dfbeta"] = [float(sum(row[j] ** 2 for row in rows["dfbeta"])) for j in range(k)]
    return {"number": number, **own, "dfbeta": [list(map(float, rows["dfbeta"][i])) for i in number], "squares": squares}


def _matrix(V: Any, k: int) -> list[list[float]]:
    """The lower triangle."""
    return [[float(V[i, j]) for j in range(i + 1)] for i in range(k)]


def exact(data: dict[str, Any]) -> dict[str, Any]:
    """Everything by the formulas."""
    from mpmath import mpf

    from tests.reference.exact import Exact

    model, weighted = Exact(data["X"], data["y"]), Exact(data["X"], data["y"], data["weight"])
    (one, two), m, k = zip(*data["ways"], strict=True), len(data["y"]), model.k
    found = {"HC0": model.of_vectors(model.scores()), "HC2": model.of_vectors(model.scores(0.5))}
    found |= {"HC1": found["HC0"] * (mpf(m) / (m - k)), "HC3": model.of_vectors(model.scores(1))}
    found |= {"cluster": model.clustered(one), "HAC": model.lagged(data["lags"])}
    found["two ways"] = found["cluster"] + model.clustered(two) - model.clustered(data["ways"])
    u = [[si * ri * a for a in row] for si, ri, row in zip(weighted.s, weighted.r, weighted.A, strict=True)]
    found["sampling"] = weighted.of_vectors(u) * (mpf(m) / (m - 1))
    kept = {"influence": _kept(model.rows, k), "covariance": {kind: _matrix(V, k) for kind, V in found.items()}}
    if data["times"] is not None:
        counted = Exact(data["X"], data["y"], data["times"])
        V = {kind: counted.of_vectors(counted.scores(power)) for kind, power in (("HC0", 0), ("HC2", 0.5), ("HC3", 1))}
        kept["times"] = {
            "influence": _kept(counted.rows, k),
            "covariance": {kind: _matrix(value, k) for kind, value in V.items()},
        }
    return kept


def of_statsmodels(data: dict[str, Any]) -> dict[str, Any]:
    """What statsmodels says."""
    import numpy as np
    import statsmodels.api as sm

    A = np.column_stack([np.array(data["X"]), np.ones(len(data["y"]))])
    y, ways = np.array(data["y"]), np.array(data["ways"], float)
    k = A.shape[1]
    glm = sm.GLM(y, A, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100, attach_wls=True)
    found = glm.get_influence(observed=False)
    rows = {
        "leverage": found.hat_matrix_diag,
        "pearson": glm.resid_pearson,
        "deviance": glm.resid_deviance,
        "standardized_pearson": found.resid_studentized,
        "standardized_deviance": glm.resid_deviance / np.sqrt(1 - found.hat_matrix_diag),
        "cooks_distance": found.cooks_distance[0],
        "dfbeta": found.d_params,
    }

    def logit(kind: str, **options: Any) -> Any:
        more = {"cov_kwds": options} if options else {}
        return sm.Logit(y, A).fit(method="newton", tol=1e-11, maxiter=100, disp=0, cov_type=kind, **more).cov_params()

    number = [np.unique(way, return_inverse=True)[1] for way in ways.T]
    V = {"HC0": logit("HC0"), "cluster": logit("cluster", groups=number[0])}
    V |= {"two ways": logit("cluster", groups=np.stack(number, axis=1))}
    V |= {"HAC": logit("HAC", maxlags=data["lags"], use_correction=True)}
    V |= {kind: getattr(glm.results_wls, f"cov_{kind}") for kind in ("HC1", "HC2", "HC3")}
    influence = _kept(rows, k)
    del influence["squares"]
    return {"influence": influence, "variance": {kind: np.diag(value).tolist() for kind, value in V.items()}}


def printed() -> dict[str, Any]:
    """Stata's robust covariance of Spector's data, and residuals of the low birth weights; R's errors of clusters; SAS's
    influence of Finney's rows, whose data are not here."""
    import numpy as np
    from statsmodels.discrete.tests.results import results_glm_logit_constrained as stata
    from statsmodels.genmod.tests.results import glm_test_resids
    from statsmodels.stats import tests

    sas = np.loadtxt(Path(tests.__file__).parent / "results" / "results_influence_logit.csv", delimiter=",", skiprows=1)
    names = ["pearson", "deviance", "leverage", "dfbetas_intercept", "dfbetas_LogRate", "dfbetas_LogVolume", "C", "CBar"]
    return {
        "Stata, glm, vce(robust), spector": np.asarray(stata.results_noconstraint_robust.cov).tolist(),
        "Stata, glm, predict pearson deviance, lbw_stata without ftv": glm_test_resids.lbw_resids[:, :2].tolist(),
        "R, gee, independence, robust errors, gee_logistic": {
            "coef": [1.13038654425893, -1.86896345082962, 1.09397608331333],
            "errors": [0.166725808326067, 0.192430061340865, 0.173141068839597],
            "intercept": [0.0167272965285882, 0.127291720283049],
        },
        "SAS, PROC LOGISTIC, influence, vaso": dict(zip(names, sas[:, 3:11].T.tolist(), strict=True))
        | dict(zip(["DIFDEV", "DIFCHISQ"], sas[:, 11:].T.tolist(), strict=True)),
    }


def main() -> None:
    """Write robust.json."""
    found: dict[str, Any] = {}
    for name in SETS:
        data = load(name)
        found[name] = {"exact": exact(data), "statsmodels": of_statsmodels(data)}
    text = json.dumps(_rounded({"sets": found, "printed": printed()}))
    for name in ("sets", "influence", "covariance", "variance", "printed", "times"):
        text = text.replace(f'"{name}": ', f'\n"{name}": ')
    (HERE / "robust.json").write_text(text + "\n")


def _rounded(tree: Any) -> Any:
    """To 14 digits."""
    if isinstance(tree, dict):
        return {name: _rounded(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_rounded(value) for value in tree]
    return float(f"{tree:.14g}") if isinstance(tree, float) else tree


if __name__ == "__main__":
    main()
