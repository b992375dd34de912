"""View models for maps, tables and exports: scales, units, packed columns, files."""
