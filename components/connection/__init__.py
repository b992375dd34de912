"""The parts of the Connection page."""
