"""Widgets and page parts. Components take domain objects and return what the user chose; they call no engine."""
