"""What R and 256-bit arithmetic say about standard errors, intervals, Firth's estimates and separation, by data set."""

import csv
import functools
import gzip
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = ("discount", "discount_noint", "remission", "spector", "lbw_stata")
QUICK = ("lbw_stata",)
_NOT_FEATURES = ("y", "w", "successes", "trials")
_MOST_ROWS, _MOST_COLUMNS = 2000, 40


@functools.cache
def load(name: str | None, folder: str | None) -> dict[str, Any]:
    """The results and the data of one model, or the names of all models of a reference folder (name None)."""
    results = json.loads((HERE / "inference.json").read_text()) if folder is None else extract(Path(folder))
    if name is None:
        return results
    entry = results[name]
    path = (HERE if folder is None else Path(folder) / "files") / entry["file"]
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as file:
        rows = list(csv.DictReader(file))
    X = [[float(row[column]) for column in entry["columns"]] for row in rows]
    return entry | {"X": X, "y": [int(float(row["y"])) for row in rows]}


def extract(folder: Path) -> dict[str, Any]:
    """Every unweighted binary model of moderate size of a reference folder."""
    found = {}
    for data in json.loads((folder / "reference.json").read_text())["datasets"].values():
        if data["kind"] != "binary" or data["shape"][0] > _MOST_ROWS or data["shape"][1] > _MOST_COLUMNS:
            continue
        with (gzip.open if data["file"].endswith(".gz") else open)(folder / "files" / data["file"], "rt") as file:
            features = [name for name in next(csv.reader(file)) if name not in _NOT_FEATURES]
        for model, entry in data.get("models", {}).items():
            columns = entry["columns"] if isinstance(entry["columns"], list) else features
            if columns:
                intercept = entry.get("intercept", True)
                separation = entry.get("separation", {}).get("separation", "none")
                found[model] = {"file": data["file"], "columns": columns, "intercept": intercept, "separation": separation}
                found[model] |= _results(entry["results"])
    return found


def _results(results: list[dict[str, Any]]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for r in results:
        certified, computed = r["origin"] == "certified-here", r["origin"] == "computed-by-R"
        if certified and r["estimator"] == "mle" and "std_errors" in r and "data_rounding" not in r:
            kept["mle"] = {key: r[key] for key in ("std_errors", "z")}
        elif r.get("what") == "profile_ci_95_exact":
            kept["profile"] = {
                side: {name: ends[i] for name, ends in r["ci95"].items()} for i, side in enumerate(("lower", "upper"))
            }
        elif computed and r["estimator"] == "mle" and "aic" in r:
            kept["r"] = {key: r[key] for key in ("p_values", "deviance", "null_deviance", "aic", "df_residual")}
        elif certified and r["estimator"] == "firth":
            kept["firth"] = {key: r[key] for key in ("coefficients", "std_errors", "penalized_loglik")}
        elif computed and r["estimator"] == "firth" and "maxit=10000" in r["function"]:
            kept["logistf"] = {key: r[key] for key in ("ci_lower", "ci_upper", "p_values")}
    return kept


def main(folder: Path) -> None:
    """Write inference.json: the results of the data sets that ship."""
    found = extract(folder)
    (HERE / "inference.json").write_text(json.dumps({name: found[name] for name in NAMES}, indent=1) + "\n")
