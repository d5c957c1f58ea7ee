"""The processes that send events at their times and see the answers."""
