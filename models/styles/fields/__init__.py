"""How the fixed textures are made; `models.styles.textures` hands them out."""
