"""Solvers: code for ONE problem each, in working coordinates; `jaxlr.fitting.fit` maps them over batches."""
