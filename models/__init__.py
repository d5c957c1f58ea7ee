"""Models: cut-out, studio composition, colour, style nets, quality measures, training. No services, no settings."""
