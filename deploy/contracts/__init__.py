"""The public contracts as files generated from the code: schemas, AsyncAPI document, tables, import drawing.

`make schemas` writes them; a test fails when they are stale.
"""
