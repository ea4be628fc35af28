"""What existed before: wrappers, clients, start commands and recorded traffic of ASF, against ours."""
