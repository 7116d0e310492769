"""From the log to the live streams: the feed fills the ring, and the hub writes the ring to every subscriber."""
