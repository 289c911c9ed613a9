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
_CLASSES = ("LogisticRegressor", "LogisticRegressorCV")
_CSR = ("csr_matrix", "csr_array")
_WORDS = {
    "liblinear": "Liblinear failed to converge, increase the number of iterations.",
    "lbfgs": "lbfgs failed to converge",
}
_SCORES = ("accuracy", "precision", "f1", "neg_log_loss", "recall")
FAILS: dict[str, list[str]] = {  # by reason
    "a solver of one penalty or of a dual problem refuses others: any penalty is fitted here, whatever solver is named": [
        f"test_check_solver_option[{name}]" for name in _CLASSES
    ],
    "liblinear's dual depends on its random numbers: nothing is random here": ["test_liblinear_dual_random_state[42]"],
    "liblinear freezes on large values, and says so: no solver here does": ["test_liblinear_with_large_values"],
    "liblinear, sag and saga refuse sparse matrices with indices of 64 bits: they are taken here": [
        f"test_large_sparse_matrix[{kind}-{solver}]" for kind in _CSR for solver in ("liblinear", "sag", "saga")
    ],
    "the warning names lbfgs or liblinear, which did not run": [
        f"test_max_iter[42-{solver}-{words}-max_iter{i}]" for solver, words in _WORDS.items() for i in range(4)
    ],
    "newton-cholesky falls back to lbfgs, with as many iterations: not here": ["test_newton_cholesky_fallback_to_lbfgs"],
    "two fits of one step, the second from the first, are one of two: here the last step of a fit is one of proved length": [
        f"test_warm_start_newton_solver[{C}-{intercept}-{solver}]"
        for C in (1, "inf")
        for intercept in (True, False)
        for solver in ("newton-cholesky", "newton-cg")
    ],
    "callbacks are for lbfgs alone there, and others warn: here they are for all": [
        "test_logistic_regression_callback_support_warning"
    ],
    "the parameters go on to a private function of its solvers, which knows none of ours": [
        f"test_logistic_cv_multinomial_score[{score}-multiclass_agg_list{i}]" for i, score in enumerate(_SCORES)
    ],
    "a message has the name of the class": ["test_lr_cv_scores_differ_when_sample_weight_is_requested[42]"],
    "defaults are those of 1.10 here, or do not change: no default warns": [
        "test_logisticregressioncv_warns_with_use_legacy_attributes",
        "test_l1_ratio_None_deprecated",
        "test_lr_scoring_warns",
    ],
}
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
