"""Small hard problems, each judged by linear programming and in 80-bit arithmetic: ``python -m tests.fuzz 100000``."""
