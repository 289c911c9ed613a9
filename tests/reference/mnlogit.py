"""What statsmodels' MNLogit says of the multinomial sets: ``python -m tests.reference.mnlogit`` writes mnlogit.json.

statsmodels is asked once, not by the tests. Its Newton steps go on until the gradient is 0 to the last digits; its own null
model is an iterative fit, good to some 1e-9. HC0 is its cov_type; it has no factor N / (N - k) for HC1.
"""

import csv
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SETS = {"anes96": ["logpopul", "selfLR", "age", "educ", "income"], "lbw_stata": ["age", "lwt", "smoke", "y"]}


def load(name: str) -> tuple[list[list[float]], list[int]]:
    """Columns and labels: the party of anes96, the race of lbw_stata (white, black, other)."""
    with (HERE / f"{name}.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    labels = [row["y"] if name == "anes96" else row["race_black"] + 2 * row["race_other"] for row in rows]
    return [[row[column] for column in SETS[name]] for row in rows], [int(label) for label in labels]


def _results(name: str) -> dict[str, Any]:
    import numpy as np
    import pandas as pd
    import statsmodels
    import statsmodels.api as sm

    X, labels = load(name)
    names = ["(Intercept)", *SETS[name]]
    design = pd.DataFrame(np.column_stack([np.ones(len(X)), X]), columns=names)
    model = sm.MNLogit(np.asarray(labels), design)
    fitted = {kind: model.fit(method="newton", maxiter=100, tol=1e-14, disp=0, cov_type=kind) for kind in ("nonrobust", "HC0")}
    result = fitted["nonrobust"]
    by_class = {
        "estimate": result.params,
        "standard_error": result.bse,
        "z": result.tvalues,
        "p_value": result.pvalues,
        "HC0": fitted["HC0"].bse,
    }
    found = {key: np.asarray(value).T.tolist() for key, value in by_class.items()}
    ends = np.asarray(result.conf_int()).reshape(len(found["estimate"]), len(names), 2)
    body = str(result.summary()).splitlines()
    begin = next(i for i, line in enumerate(body) if line.lstrip().startswith("y=1"))
    return {
        "statsmodels": statsmodels.__version__,
        "terms": names,
        **found,
        "lower": ends[..., 0].tolist(),
        "upper": ends[..., 1].tolist(),
        "covariance": np.asarray(result.cov_params())[1].tolist(),  # of the first column in class 1 with every other parameter
        "HC0_covariance": np.asarray(fitted["HC0"].cov_params())[1].tolist(),
        **{key: float(getattr(result, key)) for key in ("llf", "llnull", "aic", "bic", "prsquared", "llr", "llr_pvalue")},
        "df_resid": float(result.df_resid),
        "df_model": float(result.df_model),
        "table": body[begin - 1 :],
    }


if __name__ == "__main__":
    (HERE / "mnlogit.json").write_text(json.dumps({name: _results(name) for name in SETS}, indent=1) + "\n")
