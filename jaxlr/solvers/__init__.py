"""Solvers: code for ONE problem each, in working coordinates; `jaxlr.batching` maps them over batches."""
