"""Sockets and pipes as transports, and the ways to get one.

`resolve` finds addresses, `connect` makes connections, `bind`, `listen` and `accept`
wait for them, `unix_socket` does both at a path. `stream` moves the bytes behind
`transport`, what users hold; `write_buffer` and `flow_control` keep what cannot be sent
yet. `datagram` does the same for messages behind `datagram_transport`, which `endpoint`
makes; `pipe` is the third kind of transport. `sock_calls` and `sock_connect` are for
sockets without one.
"""
