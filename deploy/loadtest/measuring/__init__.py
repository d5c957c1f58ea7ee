"""What was seen: observations of single events, records of all of them, samples of the machine."""
