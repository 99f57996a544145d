"""The driver for GitLab Runner's custom executor: config, prepare, run, cleanup (docs.gitlab.com/runner/executors/custom)."""
