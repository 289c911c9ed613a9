"""scikit-learn's own tests of its two classes, run with ours in their place: `python -m tests.estimator.sklearn_suite`.

The file stays where scikit-learn has it. As a plugin of pytest this module puts our classes in `sklearn.linear_model` before
that file imports them from there, and writes down how each case ended.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = "sklearn.linear_model.tests.test_logistic"
LIST_IS_OF = "1.9"  # of scikit-learn; the cases of another version differ
FAILS: dict[str, list[str]] = {}  # by reason
_OUT = "JAXLR_SKLEARN_SUITE"


def run(*arguments: str) -> dict[str, tuple[str, str]]:
    """How each case ends: "passed", "failed" or "skipped", and the last line of its error."""
    with tempfile.TemporaryDirectory() as folder:
        out, settings = Path(folder) / "ends.json", Path(folder) / "pytest.ini"
        settings.write_text("[pytest]\n")  # none of ours
        command = [sys.executable, "-m", "pytest", "--pyargs", SUITE, "-q", "-c", str(settings), "-p", "no:cacheprovider"]
        command += ["-p", __spec__.name if __name__ == "__main__" else __name__, *arguments]
        environment = os.environ | {
            _OUT: str(out),
            "JAXLR_CACHE_DIR": "off",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
            environment.pop(name, None)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert out.exists(), done.stdout + done.stderr
        return {case: tuple(end) for case, end in json.loads(out.read_text()).items()}


def pytest_configure(config):
    """Our classes instead of scikit-learn's."""
    import jax
    import sklearn.linear_model

    from jaxlr.estimator import LogisticRegressor, LogisticRegressorCV

    jax.config.update("jax_disable_most_optimizations", True)  # compiling is most of the time
    sklearn.linear_model.LogisticRegression = LogisticRegressor
    sklearn.linear_model.LogisticRegressionCV = LogisticRegressorCV
    config.pluginmanager.register(_Ends(os.environ[_OUT]))


class _Ends:
    """Writes down how the cases ended."""

    def __init__(self, out):
        self.out, self.ends = out, {}

    def pytest_runtest_logreport(self, report):
        case = report.nodeid.split("::", 1)[1]
        if report.failed or report.skipped or report.when == "call":
            error = str(report.longrepr).strip().splitlines()[-1:] if report.failed else [""]
            self.ends[case] = (report.outcome, *error)

    def pytest_sessionfinish(self):
        Path(self.out).write_text(json.dumps(self.ends))


if __name__ == "__main__":
    ends = run(*sys.argv[1:])
    known = {case for cases in FAILS.values() for case in cases}
    failed = {case: error for case, (end, error) in ends.items() if end == "failed"}
    for case, error in failed.items():
        print("known" if case in known else "NEW  ", case, "|", error[:150])
    print("passes, though listed:", sorted(case for case in known & set(ends) if ends[case][0] == "passed"))
    print(f"{sum(end == 'passed' for end, _ in ends.values())} passed, {len(failed)} failed of {len(ends)}")
