"""How programs are compiled, and kept: lowest of the rooms, for everything that runs is compiled by it."""
