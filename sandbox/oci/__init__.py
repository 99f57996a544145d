"""An OCI runtime: standard bundles, run by this sandbox for other engines."""
