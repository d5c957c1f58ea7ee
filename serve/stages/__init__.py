"""The computing steps: generation, style transfer, quality filter. Plain classes, batch in, batch out."""
