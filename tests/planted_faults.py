"""Planted faults: one-line errors that the default suite has to notice, each put into a copy of the package.

``python -m tests.planted_faults`` plants all of them one after the other, ``python -m tests.planted_faults 3 17`` those by
number; it prints which test noticed, "alive" where none did, and ends with 1 where one lives. A fault is a threshold, a sign,
a factor or a guard left out, chosen by the place and not by what is tested; the files of tests beside it should notice.
`tests/test_planted_faults.py` holds that every text stands in the code exactly once.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Fault(NamedTuple):
    """A text of a file of the package, what stands there instead, and the files of tests that should notice."""

    file: str
    old: str
    new: str
    tests: str


FAULTS = [
    # model
    Fault(
        "model/logistic.py",
        "return -_curvature(z) * jnp.tanh(z / 2)",
        "return _curvature(z) * jnp.tanh(z / 2)",
        "model/test_logistic.py",
    ),
    Fault(
        "model/logistic.py",
        "difference * (difference / curvature(z)))",
        "difference * (difference / curvature(z)) / 4)",
        "model/test_certificates.py",
    ),
    Fault(
        "model/certificates.py",
        "u = g.coef - mean * g.intercept",
        "u = g.coef + mean * g.intercept",
        "model/test_certificates.py",
    ),
    Fault(
        "model/certificates.py",
        "unbounded |= jnp.min(likelihood.class_weights(y, w)) == 0",
        "pass",
        "model/test_certificates.py",
    ),
    Fault(
        "model/certificates.py",
        "** 2 / (2 * jnp.where",
        "** 2 / (8 * jnp.where",
        "model/test_conditional.py fitting/test_conditional.py",
    ),
    Fault(
        "model/certificates.py",
        "jnp.zeros_like(mean), jnp.hypot(mean, sd)",
        "jnp.zeros_like(mean), sd",
        "model/test_certificates.py",
    ),
    Fault(
        "model/problem.py",
        "    s = (s * unit) / (most * unit)\n",
        "",
        "model/test_objective.py fitting/test_fit.py test_weights.py",
    ),
    Fault(
        "model/problem.py",
        "jnp.where(aligned(jnp.asarray(problem.sample_weight), z) > 0, z, 0)",
        "z",
        "model/test_objective.py fitting/test_fit.py",
    ),
    Fault(
        "model/objective.py",
        "jnp.pad(sets.information(z, len(l2) - 1), (0, 1)) + jnp.diag(l2)",
        "jnp.pad(sets.information(z, len(l2) - 1), (0, 1))",
        "model/test_conditional.py",
    ),
    Fault("model/penalty.py", "(l2 / 2 * x) * x", "(l2 * x) * x", "model/test_objective.py"),
    Fault(
        "model/penalty.py",
        "(1 - 4 * eps) * self.l1, jnp.inf)\n        return jnp.min(aligned",
        "(1 + 1e-3) * self.l1, jnp.inf)\n        return jnp.min(aligned",
        "model/test_certificates.py",
    ),
    Fault(
        "model/bounds.py",
        "ahead = jnp.where(u > 0, at.upper, at.lower)",
        "ahead = jnp.where(u > 0, at.lower, at.upper)",
        "model/test_bounds.py model/test_certificates.py fitting/test_bounds.py",
    ),
    Fault(
        "model/bounds.py",
        "return self.strengths.bounding | (jnp.isfinite(self.lower) & jnp.isfinite(self.upper))",
        "return self.strengths.bounding | jnp.isfinite(self.lower)",
        "model/test_bounds.py fitting/test_bounds.py",
    ),
    Fault("model/bounds.py", "_ROUNDING = 4 ", "_ROUNDING = 0 ", "model/test_bounds.py fitting/test_bounds.py"),
    Fault(
        "model/groups.py",
        "jnp.maximum(strength - size, 0) * ((strength + size) / most)",
        "jnp.zeros_like(size)",
        "model/test_groups.py fitting/test_groups.py",
    ),
    Fault("model/groups.py", "chord = s + (1 - s) *", "chord = 1 + 0 *", "model/test_groups.py fitting/test_groups.py"),
    Fault(
        "model/conditional.py",
        "turned = 2 * d > size",
        "turned = 2 * d > 2 * size",
        "model/test_conditional.py fitting/test_conditional.py",
    ),
    Fault(
        "model/conditional.py",
        "return 4 * sum(jnp.sum(b.w * b.d",
        "return 1e6 * sum(jnp.sum(b.w * b.d",
        "model/test_conditional.py fitting/test_conditional.py",
    ),
    Fault("model/strata.py", "_ROUNDED = 16 ", "_ROUNDED = 0 ", "model/test_conditional.py fitting/test_conditional.py"),
    Fault("model/predict.py", "(proba >= threshold)", "(proba > threshold)", "model/test_predict.py"),
    # solvers: what decides a verdict, and what makes a step safe
    Fault(
        "solvers/descent.py",
        "((reach <= 1e-2) & ~inexact)",
        "((reach <= 1) & ~inexact)",
        "solvers/test_newton.py solvers/test_hard_data.py fitting/test_fit.py model/test_certificates.py",
    ),
    Fault(
        "solvers/descent.py",
        "((reach > 0.1) & falls & found.separates) | hidden",
        "((reach > 10) & falls & found.separates) | hidden",
        "solvers/test_newton.py solvers/test_hard_data.py fitting/test_fit.py",
    ),
    Fault(
        "solvers/descent.py",
        "falls & found.separates) | hidden",
        "falls) | hidden",
        "solvers/test_hard_data.py",
    ),
    Fault(
        "solvers/damped.py",
        "against = jnp.maximum(against, system.reach(",
        "against = jnp.minimum(against, system.reach(",
        "solvers/test_hard_data.py solvers/test_newton.py",
    ),
    Fault(
        "solvers/rounding.py",
        "eps ** (5 / 16) if settled else _MOST",
        "eps ** (5 / 16) if settled else jnp.inf",
        "solvers/test_hard_data.py",
    ),
    Fault("linalg/moments.py", ":= len(terms)) > _AT", ":= len(terms)) > 10**9 * _AT", "linalg/test_basis.py"),
    Fault("linalg/moments.py", "size = max(_ROWS_OF_GRAM, n)", "size = max(10**9, n)", "linalg/test_basis.py"),
    Fault("linalg/basis.py", "_SUMS_KNOWN_TO = 8", "_SUMS_KNOWN_TO = 100", "linalg/test_basis.py"),
    Fault(
        "batching/rounds.py",
        "jnp.where(without, worth // 2, budget)",
        "jnp.where(without, 2**30, budget)",
        "batching/test_rounds.py",
    ),
    Fault("streaming/dependent.py", "return 64 * float(", "return 64e9 * float(", "streaming/test_dependent.py"),
    Fault(
        "streaming/rows.py",
        "jnp.where(r == 0, 0, r * (r / softmax.proba(z)))",
        "jnp.where(r == 0, 0, r * r / 4)",
        "streaming/test_fit.py",
    ),
    Fault(
        "solvers/descent.py",
        "eps**0.6) * rules.rarity",
        "eps**0.6)",
        "solvers/test_newton.py solvers/test_hard_data.py fitting/test_fit.py fitting/test_several_classes.py",
    ),
    Fault(
        "solvers/descent.py",
        "_PATIENCE = 5 ",
        "_PATIENCE = 0 ",
        "solvers/test_newton.py solvers/test_hard_data.py fitting/test_fit.py",
    ),
    Fault(
        "solvers/descent.py",
        "& ~(slope <= 0)\n",
        "& (slope > 1e9)\n",
        "solvers/test_newton.py solvers/test_hard_data.py solvers/test_newton_cg.py fitting/test_fit.py",
    ),
    Fault(
        "solvers/descent.py",
        "resolved = found.unresolved <= 8 * eps**0.625",
        "resolved = found.unresolved <= 1e9",
        "solvers/test_newton.py solvers/test_near_collinearity.py solvers/test_hard_data.py",
    ),
    Fault(
        "solvers/damped.py",
        "_DAMPING = 1e-5",
        "_DAMPING = 0.0",
        "solvers/test_newton.py solvers/test_hard_data.py solvers/test_newton_cg.py",
    ),
    Fault(
        "solvers/damped.py",
        "suffices &= tol <= RARE * rarity",
        "suffices &= tol <= 2.5e3 * rarity",
        "solvers/test_newton.py solvers/test_hard_data.py fitting/test_several_classes.py",
    ),
    Fault(
        "solvers/solve.py",
        "doubtful = ~(kkt <= tol)",
        "doubtful = kkt < 0",
        "solvers/test_newton.py fitting/test_fit.py solvers/test_hard_data.py",
    ),
    Fault(
        "solvers/solve.py",
        "gap=with_rounding(gap, kkt, params, aligned(working.center, params.coef))",
        "gap=gap",
        "solvers/test_newton.py solvers/test_hard_data.py fitting/test_fit.py model/test_certificates.py",
    ),
    Fault("solvers/solve.py", "| jnp.all(s == 0)  # a maximum", "| jnp.bool_(False)  # a maximum", "fitting/test_fit.py"),
    Fault(
        "solvers/firth.py",
        "h / total * half_off",
        "h / total * half_off / 2",
        "fitting/test_reference.py inference/test_published.py inference/test_laws.py",
    ),
    Fault(
        "solvers/firth.py",
        "here.value - jnp.sum(jnp.log(unit)) / system.total",
        "here.value",
        "fitting/test_reference.py inference/test_published.py inference/test_laws.py",
    ),
    Fault(
        "solvers/quadratic.py",
        "lowest = jnp.argmin(falls)",
        "lowest = jnp.argmax(falls)",
        "solvers/test_quadratic.py solvers/test_proximal.py",
    ),
    Fault(
        "solvers/working_set.py",
        "left_out = jnp.asarray(np.arange(room, 0, -1, dtype=np.int32) > needed)",
        "left_out = jnp.asarray(np.arange(room, 0, -1, dtype=np.int32) > 10)",
        "solvers/test_working_set.py",
    ),
    Fault(
        "solvers/working_set.py",
        "unseen = jnp.sum(~penalty.bounding[:n]) > most_in_use",
        "unseen = jnp.bool_(False)",
        "solvers/test_working_set.py fitting/test_groups.py",
    ),
    Fault(
        "solvers/proximal.py",
        "_FAILED * now.decrement",
        "1e9 * now.decrement",
        "solvers/test_kept_hessian.py solvers/test_proximal.py",
    ),
    Fault("solvers/implicit.py", "free &= aligned(varies, x)", "pass", "solvers/test_implicit.py fitting/test_fit.py"),
    Fault(
        "solvers/rounding.py",
        "~(system.largest(moved) <= _MOST)",
        "(system.largest(moved) < 0)",
        "solvers/test_near_collinearity.py linalg/test_basis.py",
    ),
    # batching and engine
    Fault(
        "batching/path.py",
        "healthy = (status == Status.CONVERGED)[None]",
        "healthy = (status == status)[None]",
        "batching/test_path.py fitting/test_fit.py",
    ),
    Fault("batching/path.py", "_STEADY = 20.0", "_STEADY = 1e9", "batching/test_path.py"),
    Fault(
        "batching/axes.py",
        'cores["penalty_factor"] = Core("n", filler=1)',
        'cores["penalty_factor"] = Core("n", filler=0)',
        "engine/test_buckets.py batching/test_axes.py fitting/test_fit.py",
    ),
    Fault(
        "engine/buckets.py",
        "sample_weight=np.ones(size.m, np.int8)",
        "sample_weight=np.ones(to.m, np.int8)",
        "engine/test_buckets.py fitting/test_fit.py",
    ),
    Fault("engine/chunks.py", "min(length, size - start) for length", "length for length", "engine/test_chunks.py"),
    Fault("engine/chunks.py", "tuple(max(min(a, size - step), 0) for a", "tuple(a for a", "engine/test_chunks.py"),
    Fault("engine/memory.py", "> _SHARE * free", "> 1e9 * free", "engine/test_memory.py"),
    Fault(
        "engine/dependence.py",
        "free = free & ~(np.isfinite(lower) & np.isfinite(upper))",
        "pass",
        "engine/test_dependence.py fitting/test_bounds.py",
    ),
    # linear algebra and what comes in
    Fault(
        "linalg/basis.py",
        "little = left <= 2 * error, left <= eps**0.7 * size[j]",
        "little = left <= 0 * error, left <= 0 * size[j]",
        "linalg/test_basis.py solvers/test_near_collinearity.py",
    ),
    Fault(
        "linalg/moments.py",
        "1e4 * float(jnp.finfo(mean.dtype).eps) if least is None",
        "0 * float(jnp.finfo(mean.dtype).eps) if least is None",
        "linalg/test_moments.py model/test_certificates.py",
    ),
    Fault(
        "linalg/csr.py",
        "terms = tangents[0][:, None] * V[indices]",
        "terms = tangents[0][:, None] * V[indices] * 2",
        "linalg/test_sparse.py fitting/test_sparse.py",
    ),
    Fault(
        "linalg/cholesky.py",
        "** 2 > 64 * k * limits.eps",
        "** 2 > 0",
        "inference/test_rank.py linalg/test_cholesky.py inference/test_covariances.py",
    ),
    Fault("inputs/sparse.py", "matrix.check_format(full_check=True)", "pass", "inputs/test_sparse.py"),
    Fault("inputs/sparse.py", "matrix.sum_duplicates()  # true twice is true", "pass", "inputs/test_sparse.py"),
    Fault(
        "inputs/values.py",
        "if np.any(beyond := ((value > 0) & (value < info.tiny)) | ((value > info.max) & (value < np.inf))):",
        "if np.any(beyond := (value > info.max) & (value < np.inf)):",
        "inputs/test_checks.py",
    ),
    Fault("inputs/clusters.py", "return any(map(_is_missing, label))", "return False", "inputs/test_clusters.py"),
    Fault(
        "inputs/tables.py",
        "if own is None or own == names:",
        "if own is None or len(own) == len(names):",
        "inputs/test_tables.py model/test_predict.py",
    ),
    # weights, metrics, preprocessing, selection
    Fault(
        "weights.py",
        "jax.random.fold_in(key, i), (m,)",
        "jax.random.fold_in(key, 0 * i), (m,)",
        "test_weights.py fitting/test_bootstrap.py",
    ),
    Fault(
        "weights.py",
        "0.5 / (1 - share_of_ones), 0.5 / share_of_ones",
        "0.5 / share_of_ones, 0.5 / (1 - share_of_ones)",
        "test_weights.py test_conversions.py",
    ),
    Fault("weights.py", "shuffled[jnp.argsort(y[shuffled], stable=True)]", "shuffled", "test_weights.py"),
    Fault("metrics/ranking.py", 'side="right"', 'side="left"', "metrics/test_metrics.py metrics/test_scikit_learn.py"),
    Fault("metrics/rows.py", "jnp.where(share > 0, share * rows, 0)", "share * rows", "metrics/test_metrics.py"),
    Fault("preprocessing.py", "jnp.where(sd == 0, 1, sd))", "sd)", "test_preprocessing.py"),
    Fault("preprocessing.py", "s = times_power_of_two(s, -exponent_of_largest(s, axis=0))", "pass", "test_preprocessing.py"),
    Fault(
        "selection/scores.py",
        "goodness[best] - np.nan_to_num(error[best])",
        "goodness[best] - 2 * np.nan_to_num(error[best])",
        "selection/test_cross_validate.py",
    ),
    Fault("selection/held_out.py", "ddof=1) / count**0.5", "ddof=0) / count**0.5", "selection/test_cross_validate.py"),
    Fault(
        "metrics/measures.py",
        "jnp.sqrt(m / (m - 1) *",
        "jnp.sqrt(1 *",
        "selection/test_leave_one_out.py selection/test_cross_validate.py",
    ),
    Fault(
        "selection/null_model.py",
        "slopes = slopes + 4 * jnp.finfo(X.dtype).eps * rounding",
        "pass",
        "selection/test_strengths.py fitting/test_groups_paths.py",
    ),
    Fault("selection/strengths.py", "_LEAST_SHARE = 1e-3", "_LEAST_SHARE = 1e-6", "selection/test_strengths.py"),
    Fault(
        "selection/strengths.py",
        "factor * (n / np.sum(np.where(held, 1, factor)))",
        "factor * 1.0",
        "selection/test_strengths.py",
    ),
    Fault(
        "selection/relaxed.py",
        "jnp.where(both, alone.status, Status.CONVERGED))",
        "Status.CONVERGED)",
        "selection/test_cross_validate.py",
    ),
    Fault("selection/folds.py", "if np.any(np.all(training != 0, axis=1)):", "if False:", "selection/test_cross_validate.py"),
    # inference
    Fault(
        "inference/meat.py",
        "(1 - lag.astype(u.dtype) / (lags + 1))",
        "(1 - lag.astype(u.dtype) / (lags + 2))",
        "inference/test_covariances.py inference/test_robust_reference.py",
    ),
    Fault(
        "inference/meat.py",
        "jnp.where(G > 1, factor, jnp.nan)",
        "jnp.where(G > 0, 1.0, jnp.nan)",
        "inference/test_covariances.py inference/test_robust_reference.py",
    ),
    Fault(
        "inference/leverage.py",
        "jnp.where(1 - h > jnp.finfo(h.dtype).eps ** 0.75, 1 - h, jnp.nan)",
        "1 - h",
        "inference/test_leverage.py inference/test_covariances.py",
    ),
    Fault(
        "inference/over_models.py", "_SLACK = 100 ", "_SLACK = 1e12 ", "inference/test_laws.py inference/test_covariances.py"
    ),
    Fault("inference/hosmer_lemeshow.py", "astype(z.dtype)) - 2", "astype(z.dtype)) - 1", "inference/test_goodness.py"),
    Fault(
        "inference/goodness.py",
        '"bic": k * jnp.log(rows)',
        '"bic": k * jnp.log(total)',
        "inference/test_goodness.py inference/test_published.py",
    ),
    Fault(
        "inference/profile.py",
        "quantile / (2 * model.system.total)",
        "quantile / model.system.total",
        "inference/test_published.py inference/test_laws.py inference/test_multinomial.py",
    ),
    Fault("inference/tails.py", "far = 37 if", "far = 3 if", "inference/test_laws.py inference/test_published.py"),
    Fault(
        "inference/score_test.py",
        "if fit_intercept:  # keeps",
        "if False:  # keeps",
        "inference/test_laws.py inference/test_scan.py",
    ),
    Fault(
        "inference/influence.py", "rest**2 * model.num_parameters", "rest * model.num_parameters", "inference/test_leverage.py"
    ),
    Fault(
        "inference/separation.py",
        "noise = 64 * k * eps",
        "noise = 64e6 * k * eps",
        "inference/test_laws.py",
    ),
    Fault(
        "inference/marginal_effects.py",
        "lower + (upper - lower) / 2",
        "lower",
        "inference/test_margins.py inference/test_margins_reference.py",
    ),
    Fault(
        "inference/likelihood_ratio.py",
        "if np.all(more < 1):",
        "if False:",
        "inference/test_laws.py inference/test_multinomial.py inference/test_published.py",
    ),
    # fitting and training
    Fault(
        "fitting/firth.py",
        "if n + call.settings.fit_intercept > m:",
        "if n > m:",
        "test_messages.py fitting/test_reference.py",
    ),
    Fault(
        "fitting/columns.py",
        "(share <= 4 * jnp.finfo(share.dtype).eps ** 0.75)",
        "(share <= 0)",
        "fitting/test_columns.py inference/test_scan.py",
    ),
    Fault("fitting/conditional.py", "(most > 0) & (least < most)", "(most > 0) & (least < 0)", "fitting/test_conditional.py"),
    Fault(
        "fitting/training.py",
        "_either(jnp.any(batch.sample_weight > 0), ahead, carry), None",
        "ahead, None",
        "fitting/test_training.py",
    ),
    Fault(
        "fitting/training.py",
        "carry = (params, state.optimizer), state.diverged",
        "carry = (params, state.optimizer), jnp.array(False)",
        "fitting/test_training.py",
    ),
    # streams
    Fault(
        "streaming/carried.py",
        "return total, (a - (total - other)) + (b - other)",
        "return total, 0 * a",
        "streaming/test_fit.py streaming/test_blocks.py",
    ),
    Fault(
        "streaming/proved.py",
        "there.kkt + R**2 / 8",
        "there.kkt",
        "streaming/test_fit.py",
    ),
    Fault(
        "streaming/resamples.py",
        "_folded(key, group)",
        "_folded(key, 0 * group)",
        "streaming/test_fit.py streaming/test_blocks.py",
    ),
    Fault(
        "streaming/checks.py",
        "columns = np.concatenate([columns[columns >= n], columns[columns < n]])",
        "pass",
        "streaming/test_fit.py streaming/test_blocks.py",
    ),
    # files and programs
    Fault("io.py", "if _digest(file) != end[len(_MARK) :]:", "if False:", "test_io.py"),
    Fault("io.py", "info.compress_type == zipfile.ZIP_STORED and ", "", "test_io.py test_fuzzed_files.py"),
    Fault("io.py", "or sum(info.file_size for info in members) > size", "", "test_io.py test_fuzzed_files.py"),
    Fault("io.py", " or stream.tell() + math.prod(shape) * dtype.itemsize != member.file_size", "", "test_fuzzed_files.py"),
    Fault("compilation/store.py", "not found.st_mode & 0o022", "not found.st_mode & 0o002", "compilation/test_store.py"),
    Fault(
        "compilation/store.py",
        "entry[:head] == _MAGIC + _digest(key, payload)",
        "entry[:6] == _MAGIC[:6]",
        "compilation/test_store.py",
    ),
    Fault(
        "compilation/key.py",
        "str(structure), list(shapes), jax.config.values",
        "str(structure), list(shapes)",
        "compilation/test_store.py",
    ),
    Fault(
        "results/fit.py",
        "if causes := failures(fit.status, fit.kkt):",
        "if np.any(np.asarray(fit.status) == 1) and (causes := failures(fit.status, fit.kkt)):",
        "results/test_display.py fitting/test_fit.py",
    ),
    Fault("datasets/made.py", "(jnp.abs(distance) + margin)", "jnp.abs(distance)", "datasets/test_datasets.py"),
]


def text_with(fault):
    """The file's text with the fault in it.

    Raises:
        ValueError: what it replaces does not stand there exactly once.
    """
    text = (ROOT / "jaxlr" / fault.file).read_text()
    if (count := text.count(fault.old)) != 1:
        raise ValueError(f"expected {fault.old!r} once in {fault.file}, got it {count} times; mend the table")
    return text.replace(fault.old, fault.new)


def noticed(fault, copy):
    """The first test that fails with the fault, in words; None where none does."""
    path = copy / "jaxlr" / fault.file
    right = path.read_text()
    path.write_text(text_with(fault))
    try:
        there = [f"tests/{name}" for name in fault.tests.split() if (copy / "tests" / name).exists()]
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *there],
            cwd=copy, env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        path.write_text(right)
    if run.returncode in (0, 5):  # 5: all of them are slow
        return None
    if run.returncode != 1:
        return f"pytest ended with {run.returncode}: {run.stdout[-500:]}{run.stderr[-500:]}"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
    return failed[1] if failed else "a test"


def main(numbers):
    alive = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
        shutil.copytree(ROOT, copy, ignore=left_out)
        for number in numbers or range(len(FAULTS)):
            start, fault = time.perf_counter(), FAULTS[number]
            by = noticed(fault, copy)
            alive += by is None
            took = f"{time.perf_counter() - start:.0f} s"
            print(
                f"{number} {'alive' if by is None else 'dead'} {fault.file}: {fault.old.strip()!r} {by or ''} ({took})",
                flush=True,
            )
    print(f"{alive} alive of {len(numbers or FAULTS)}")
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
