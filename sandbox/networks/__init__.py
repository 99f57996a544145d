"""Networks that sandboxes join: one of its own behind pasta, another container's, or a named private one."""
