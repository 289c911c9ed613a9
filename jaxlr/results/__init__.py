"""What a fit hands back, how it ended, and how it looks."""
