"""The job that a page shows: start, progress, saving, estimate."""
