"""Temporary: until the choices by shape come together here."""

_PRODUCTS_BYTES = 2**30  # products of columns stand up to this size


def products_fit(m: int, k: int, designs: int, itemsize: int) -> bool:
    """Whether the products of all pairs of columns stand in memory."""
    return designs * m * k * (k + 1) // 2 * itemsize <= _PRODUCTS_BYTES
