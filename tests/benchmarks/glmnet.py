"""glmnet beside the sweep: one process of R, as it comes, skipped where Rscript or glmnet is missing.

R times itself, so that neither its start nor the way of the data counts.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

_SCRIPT = """
suppressMessages(library(glmnet))
folder <- commandArgs(TRUE)[1]
sizes <- scan(file.path(folder, "sizes"), quiet = TRUE)  # rows, columns, folds, strengths, repeats, threshold, alpha (, limit)
numbers <- function(name, n) readBin(file.path(folder, name), "double", n)
X <- matrix(numbers("X", sizes[1] * sizes[2]), sizes[1], byrow = TRUE)
y <- numbers("y", sizes[1])
training <- matrix(numbers("training", sizes[3] * sizes[1]), sizes[3], byrow = TRUE) > 0
strengths <- numbers("strengths", sizes[4])
for (k in 0:sizes[5]) {
  paths <- list()
  seconds <- system.time(for (f in seq_len(sizes[3])) {
    rows <- training[f, ]
    paths[[f]] <- glmnet(
      X[rows, ], y[rows], "binomial", alpha = sizes[7], lambda = strengths * (1 + 1e-6 * k),
      standardize = FALSE, thresh = sizes[6], lower.limits = if (length(sizes) > 7) sizes[8] else -Inf
    )
  })["elapsed"]
  cat(seconds, "\\n")
}
file <- file(file.path(folder, "fitted"), "wb")
for (path in paths) {  # a path that glmnet gave up early is filled up with NaN
  fitted <- matrix(NaN, sizes[2] + 1, sizes[4])
  fitted[, seq_along(path$a0)] <- rbind(path$a0, as.matrix(path$beta))
  writeBin(as.vector(fitted), file)
}
close(file)
"""


def run(
    X: np.ndarray,
    y: np.ndarray,
    training: np.ndarray,
    strengths: np.ndarray,
    threshold: float,
    repeats: int,
    alpha: float = 0,
    lower: float | None = None,
) -> tuple[list[float], np.ndarray, np.ndarray]:
    """Seconds of every call, and the parameters of the last: coef (folds, strengths, n), intercept (folds, strengths)."""
    given = () if lower is None else (lower,)
    with tempfile.TemporaryDirectory() as folder:
        for name, value in {"X": X, "y": y, "training": training, "strengths": strengths}.items():
            np.ascontiguousarray(value, dtype=float).tofile(Path(folder) / name)
        (Path(folder) / "sizes").write_text(
            " ".join(map(str, (*X.shape, len(training), len(strengths), repeats, threshold, alpha, *given)))
        )
        done = subprocess.run(["Rscript", "-e", _SCRIPT, folder], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        fitted = np.fromfile(Path(folder) / "fitted").reshape(len(training), len(strengths), -1)
    return [float(line) for line in done.stdout.split()], fitted[..., 1:], fitted[..., 0]
