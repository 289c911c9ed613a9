"""Published and certified results, and the small data sets that they belong to (see README.md)."""
