"""One model: parameters, objective, certificates."""
