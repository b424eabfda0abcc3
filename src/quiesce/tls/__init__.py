"""TLS over any transport.

`openers` makes connections and servers speak TLS from their first byte on, `start_tls`
turns a live connection into one that does. `engine` makes the records and knows nothing
of loops, `stream` puts it between the transport that carries the records and the user's
protocol, from the `handshake` to `closing`; `transport` is what users hold.
"""
