"""The public contracts as files generated from the code: schemas, AsyncAPI document, outcome and settings tables.

`make schemas` writes them; a test fails when they are stale.
"""
