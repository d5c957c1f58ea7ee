"""Who may enter: tokens, rates, limits on open requests and on patience. Everything but `guard` and `slow` is pure."""
