"""Training of the bundled nets: `python -m models.training style --data DIR`."""
