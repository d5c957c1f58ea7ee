"""Pure judgements: ledger, percentiles, validity, objectives, comparison."""
