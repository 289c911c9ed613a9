"""Make results.json, and copy the data sets beside it, from a folder of reference data.

    python -m tests.reference.extract FOLDER

FOLDER holds reference.json (every result with its origin) and files/ (the data). Kept here: for each model the certified
estimate, what was published, and what linear programming says about separation; for paths of penalties the certified points,
and glmnet's own where nothing else is known. The same reduction serves `pytest --reference-data FOLDER`, for every data set
of the folder.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHIPPED = (
    "discount",
    "remission",
    "spector",
    "newton_trap_1",
    "newton_trap_2",
    "newton_trap_3",
    "mount_start5",
    "lbw_stata",
    "wdbc",  # jaxlr/datasets/breast_cancer.csv: not copied a second time
)
NOT_FEATURES = ("y", "w", "successes", "trials")
_BINARY = ("binary", "binary weighted", "binary sparse", "grouped")
_ESTIMATE = ("coefficients", "std_errors", "loglik", "data_rounding")
_LIMIT = ("diverging_columns", "reduced_coefficients", "limit_loglik")
_PUBLISHED = (
    "where",
    "provenance",
    "coefficients_as_printed",
    "std_errors_as_printed",
    "deviance",
    "loglik",
    "agreement",
    "note",
)


def header(path: Path) -> list[str]:
    """The column names of a CSV file, compressed or not."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as file:
        return file.readline().strip().split(",")


def extract(folder: Path, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """What the tests need of a reference folder.

    Args:
        folder: holds reference.json and files/.
        names: data sets; None is all of them.

    Returns:
        {"models": {model: ...}, "paths": {data set: ...}}.
    """
    reference = json.loads((folder / "reference.json").read_text())["datasets"]
    models, paths = {}, {}
    for name, data in reference.items():
        if names is not None and name not in names:
            continue
        if data["kind"] in _BINARY:
            columns = [] if data["file"].endswith(".npz") else header(folder / "files" / data["file"])
            features = [column for column in columns if column not in NOT_FEATURES]
            for model, entry in data.get("models", {}).items():
                models[model] = {"file": data["file"], **_model(entry, features)}
        if found := _paths(data):
            paths[name] = {"file": data["file"], "paths": found}
    return {"models": models, "paths": paths}


def _model(entry: dict[str, Any], features: list[str]) -> dict[str, Any]:
    results = entry["results"]
    certified = [r for r in results if r["origin"] == "certified-here" and r["estimator"] == "mle" and "coefficients" in r]
    limits = [r for r in results if r["estimator"].startswith("mle-limit")]
    published = [r for r in results if r["origin"] == "published" and r["estimator"] == "mle"]
    return {
        "columns": entry["columns"] if isinstance(entry["columns"], list) else features,
        "intercept": entry.get("intercept", True),
        "separation": entry.get("separation", {}).get("separation", "none"),
        "certified": [{key: r[key] for key in _ESTIMATE if key in r} for r in certified],
        "limit": [{key: r[key] for key in _LIMIT} for r in limits],
        "published": [{key: r[key] for key in _PUBLISHED if key in r} for r in published],
    }


def _paths(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Paths with their share of l1, alpha, and how exact they are."""
    paths = []
    keep = ("lambda_", "intercept", "coefficients", "beta_l2", "beta_first10", "linear_predictor", "coef", "loglik")
    for item in data.get("glmnet_paths", []):
        points = [{key: point[key] for key in keep if key in point} for point in item["certified"]["path"]]
        paths.append({"alpha": item["alpha"], "standardize": item["standardize"], "certified": True, "path": points})
    for item in data.get("glmnet_large", []):
        if item["origin"] == "certified-here":
            points = [{key: point[key] for key in keep if key in point} for point in item["path"]]
        elif item["alpha"] == 1:
            columns = zip(item["lambda"], item["intercept"], item["beta"], strict=True)
            points = [dict(zip(("lambda_", "intercept", "coef"), column, strict=True)) for column in columns]
        else:
            continue
        certified = item["origin"] == "certified-here"
        paths.append({"alpha": item["alpha"], "standardize": False, "certified": certified, "path": points})
    return paths


def main(folder: Path) -> None:
    """Write results.json and copy the shipped data sets."""
    results = extract(folder, SHIPPED)
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    for file in {model["file"] for model in results["models"].values()} - {"wdbc.csv"}:
        shutil.copyfile(folder / "files" / file, HERE / file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
