"""What statsmodels' ConditionalLogit says of matched sets: ``python -m tests.reference.conditional`` writes conditional.json.

statsmodels is asked once, not by the tests. Its estimates are those of its own score, by Newton's method with differences of
that score, until nothing changes: its optimizers stop after four or five digits. The sets are infert (R's package datasets;
Trichopoulos et al. 1976, British Journal of Obstetrics and Gynaecology 83), low birth weights matched by age and by race, and
the ten rows that statsmodels' tests quote Stata's clogit for.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
PUBLISHED = {  # as printed
    "infert": {"coef": [1.9859, 1.4090], "standard_error": [0.3524, 0.3607], "ratio": 53.15},  # ?infert in R, survival's clogit
    "stata_1d": {"coef": [0.9272407], "standard_error": [1.295155]},  # statsmodels 0.15.0, discrete/tests/test_conditional.py
    "stata_2d": {"coef": [1.011074, 1.236758], "standard_error": [1.420784, 1.361738]},
}
SETS = ["infert", "infert_pairs", "infert_pooled", "lbw_age", "lbw_race", "stata_1d", "stata_2d"]


def load(name: str) -> dict[str, Any]:
    """X, y, strata, and for some an offset."""
    if name.startswith("stata"):
        X = np.array([[0, 1, 0, 0, 1, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1, 0, 1, 1, 1]], float).T
        y, strata = np.array([0, 1, 0, 1, 0, 1, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
        return {"X": X[:, : 1 if name == "stata_1d" else 2], "y": y, "strata": strata}
    with (HERE / ("infert.csv" if name.startswith("infert") else "lbw_stata.csv")).open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    table = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    if name.startswith("infert"):
        found = {"X": np.column_stack([table["spontaneous"], table["induced"]]), "y": table["case"]}
        found["strata"] = table["pooled_stratum" if name == "infert_pooled" else "stratum"]
        first = np.arange(len(rows)) < 166  # all cases, and a control of each
        return {key: value[first] for key, value in found.items()} if name == "infert_pairs" else found
    race = table["race_black"] + 2 * table["race_other"]
    found = {"X": np.column_stack([table["lwt"], table["smoke"]]), "y": table["y"]}
    return found | ({"strata": table["age"]} if name == "lbw_age" else {"strata": race, "offset": -table["age"] / 20})


def _results(name: str) -> dict[str, Any]:
    import statsmodels
    from statsmodels.discrete.conditional_models import ConditionalLogit

    data = load(name)
    given = {"offset": data["offset"]} if "offset" in data else {}
    model: Any = ConditionalLogit(data["y"], data["X"], groups=data["strata"], **given)
    size, k = data["X"].std(axis=0), data["X"].shape[1]

    def hessian(b: np.ndarray) -> np.ndarray:
        steps = np.diag(1e-4 / size)
        near = [8 * (model.score(b + d) - model.score(b - d)) - model.score(b + 2 * d) + model.score(b - 2 * d) for d in steps]
        return np.array(near) / (12 * np.diag(steps)[:, None])

    b = np.zeros(k)
    for _ in range(20):
        b = b - np.linalg.solve(hessian(b), model.score(b))
    V = np.linalg.inv(-hessian(b))
    found = {"coef": b, "standard_error": np.sqrt(np.diag(V)), "log_likelihood": model.loglike(b)}
    found |= {"null_log_likelihood": model.loglike(np.zeros(k)), "score": model.score(b)}
    return {"statsmodels": statsmodels.__version__} | {key: np.asarray(value).tolist() for key, value in found.items()}


if __name__ == "__main__":
    (HERE / "conditional.json").write_text(json.dumps({name: _results(name) for name in SETS}, indent=1) + "\n")
