"""The run that a page shows: progress, history, estimate."""
