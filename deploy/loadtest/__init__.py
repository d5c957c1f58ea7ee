"""Parts for trying Vitrine under load and under faults: a TCP proxy, traffic, faults, a conductor, a ledger."""
