"""How good the models are, as figures: `python -m models.evaluate TASK --images DIR`."""
