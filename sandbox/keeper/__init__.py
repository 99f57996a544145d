"""A cgroup subtree of the user's systemd, held by a keeper: who starts spawners there for callers outside of it.

    client.py   find the keeper that runs, or have it started; ask it for spawners
    systemd.py  the D-Bus call that starts it as a transient service

native/keeper.c has the theory of operation.
"""
