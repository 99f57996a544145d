"""Images from a Dockerfile: each RUN is a sandbox, each step a commit."""
