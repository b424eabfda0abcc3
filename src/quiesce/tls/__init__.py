"""TLS over any transport.

`openers` makes connections and servers speak TLS from their first byte on, `start_tls`
turns a live connection into one that does. The records are made by asyncio's
`sslproto.SSLProtocol`, which knows nothing of the loop below it.
"""
