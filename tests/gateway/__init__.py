"""The HTTP door's parts, without a socket."""
