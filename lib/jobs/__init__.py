"""Jobs: model calls that belong to the process, not to a page."""
