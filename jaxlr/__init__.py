"""jaxlr: logistic regression in JAX, one model or a million, each with the evidence that it converged."""

from jaxlr.fitting import fit as fit

__version__ = "0.1.0"
