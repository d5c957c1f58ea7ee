"""How the fixed textures are made; `models.textures` hands them out."""
