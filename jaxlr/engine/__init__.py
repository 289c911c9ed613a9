"""Host code: arguments, plans, memory, chunks and devices."""
