"""An OCI runtime: bundles of the OCI runtime specification, created, started, signalled and deleted.

    reader      typed access to config.json, with the JSON path in every error
    identity, process, mounts, linux, resources, hooks, seccomp: one part of config.json each
    translate   config.json -> Container: what becomes of each part of it; makes and starts nothing
    state       the directory of a container: record, lock
    joining     the network namespace of an engine
    monitor     the process of a container, from create to its end
    joined      a further program in a container
    control     what is said to it
    lifecycle   create, start, state, kill, delete, run, list
    features    the Features structure

docs/oci.md says what of the specification is done, and what gets which error.
"""
