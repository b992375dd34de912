"""One module per question a page asks: its plan, and the reading of its outcome."""
