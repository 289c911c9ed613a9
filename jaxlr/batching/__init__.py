"""Traced code: from batch axes to lanes, and programs of them."""
