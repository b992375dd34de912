"""The store: saves every run in a database, finds it by its text, and exports it to a file."""
