"""The front doors: fit and its kin."""
