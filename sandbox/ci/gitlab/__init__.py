"""The driver for GitLab Runner's custom executor (docs.gitlab.com/runner/executors/custom): its four stages."""
