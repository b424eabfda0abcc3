"""The states of a TLS connection.

Each is entered once and in this order; some may be left out:

- *new*: the carrier has not called ``connection_made``.
- *handshake*: no bytes of users travel; what they write waits.
- *open*: until `close`, the peer's end of stream, or an error.
- *closing*: nothing is given to the protocol any more. What was written before is still
  sent, then close_notify; then the peer's close_notify or its end of stream is waited
  for, as long as the shutdown may take.
- *lost*: nothing is sent or received any more; the carrier is closing, or closed.
"""

NEW = 0
HANDSHAKE = 1
OPEN = 2
CLOSING = 3
LOST = 4
