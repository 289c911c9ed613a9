"""Extract the multinomial results from a folder of reference data: ``python -m tests.reference.softmax FOLDER``.

The results of the data sets that ship here (anes96, iris) go to softmax.json; `extract` gives those of any folder.
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHIPPED = ("anes96", "iris")


def extract(folder: Path) -> dict[str, Any]:
    """Every multinomial result of the folder, by data set.

    Args:
        folder: holds reference.json and files/.

    Returns:
        By name: "file", "estimates" (without a penalty: first class against every other) and "paths" (glmnet's objective).
    """
    found = {}
    for name, entry in json.loads((folder / "reference.json").read_text())["datasets"].items():
        estimates, paths = entry.get("multinomial", []), entry.get("glmnet_multinomial", [])
        paths = [path for path in paths if path.get("type", "ungrouped") == "ungrouped"]
        if estimates or paths:
            found[name] = {"file": Path(entry["file"]).name, "estimates": estimates, "paths": paths}
    return found


if __name__ == "__main__":
    results = {name: entry for name, entry in extract(Path(sys.argv[1])).items() if name in SHIPPED}
    (HERE / "softmax.json").write_text(json.dumps(results, indent=1) + "\n")
