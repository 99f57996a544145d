"""Resource limits: one protocol, three backends (v2, v1, none), and where a subtree comes from."""
