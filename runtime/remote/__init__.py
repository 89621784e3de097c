"""Sessions with a device on another machine (docs/tools/remote.md).

A client and a server speak over one WebSocket inside TLS. :mod:`.wire` says what they say,
:mod:`.session` is the client's side, :mod:`.server` the other; :mod:`.workspace` is what the server
lets a client do.
"""

DEFAULT_PORT = 9091
"""As in the original."""
