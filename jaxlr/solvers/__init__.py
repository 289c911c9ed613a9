"""Solvers: code for ONE problem each, in working coordinates; `jaxlr.fitting` maps them over batches."""
