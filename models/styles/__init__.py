"""Photos redrawn: the teachers, the net that learnt from them, and a style of the user's own."""
