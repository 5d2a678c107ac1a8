"""The page of a run: what its templates are given, image browser, galleries, charts."""
