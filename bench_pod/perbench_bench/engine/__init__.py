"""The load engine: sends what a plan says, records what really happened, and judges its own part in it.

http1, sse, protocols, feed, observations and verdict are pure (bytes and stamps in, values out); connection and
closed_loop hold the sockets; delay reads the clock and the kernel's scheduler figures.
"""
