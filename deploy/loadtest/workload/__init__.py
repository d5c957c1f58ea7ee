"""What is sent and when: arrival times, the mix of events, photos. Pure, but for the photo server."""
