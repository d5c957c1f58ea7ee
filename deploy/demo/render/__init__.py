"""Product photos drawn by code: garments cut from splines, folded, lit and laid on a seller's floor."""
