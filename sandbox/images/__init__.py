"""Images: a store that is an OCI image layout, layers unpacked once and shared; what goes in and comes out."""
