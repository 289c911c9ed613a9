"""Choosing penalties: cross-validation and strengths."""
