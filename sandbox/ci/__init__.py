"""CI jobs: steps in containers of an image, run locally or for a GitLab Runner."""
