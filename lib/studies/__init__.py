"""Studies: one module per question that a page asks, with its plan and its outcome."""
