"""What maps, tables and exports need: scales, views, files."""
