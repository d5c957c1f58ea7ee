"""The highest rate that meets an SLO: where to probe next, what is believed of the capacity, where latency climbs."""
