"""The models on files: `python -m models.predict cutout|describe IN...`."""
