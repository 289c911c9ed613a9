"""Data larger than memory: what makes blocks of rows, for `jaxlr.fit_stream`, of arrays, tables and files."""

from jaxlr.streaming.sources import from_arrays as from_arrays
from jaxlr.streaming.sources import from_parquet as from_parquet
from jaxlr.streaming.sources import from_tables as from_tables
from jaxlr.streaming.sources import own_parts as own_parts
