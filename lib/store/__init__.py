"""Every run is kept: in a database, found again by its text, and handed on as a file."""
