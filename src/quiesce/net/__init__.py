"""Sockets and pipes as transports, and the ways to get one.

`resolve` finds addresses, `connect` makes connections, `bind` and `listen` wait for
them, `unix_socket` does both at a path. `stream` moves the bytes behind `transport`,
what users hold; `write_buffer` and `flow_control` keep what cannot be sent yet.
`datagram`, which `endpoint` makes, and `pipe` are the other kinds of transport;
`sock_calls` is for sockets without one.
"""
