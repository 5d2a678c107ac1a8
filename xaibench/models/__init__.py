"""Any torch classifier with its preprocessing, categories and layers by name."""
