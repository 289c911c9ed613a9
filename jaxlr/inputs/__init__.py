"""What comes in: checks in words, and tables."""
