"""Performance figures, each as a ratio against something everybody knows, measured in the same run."""
