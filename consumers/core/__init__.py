"""The decision core: signals and the time in, actions out. No I/O, no clock, no thread, no global randomness."""
