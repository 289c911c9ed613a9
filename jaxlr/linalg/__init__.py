"""Designs, factors and moments."""
