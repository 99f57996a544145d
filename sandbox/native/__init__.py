"""The native core: the spawner (C), the datagrams it understands, and Python's end of the sockets."""
