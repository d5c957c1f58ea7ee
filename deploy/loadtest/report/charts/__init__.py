"""Charts as SVG that is part of the page: no script, no file beside it."""
