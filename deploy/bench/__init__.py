"""`make bench`: figures as ratios within one run. What each compares, and how to read it, stands in the README."""
