"""Settings: flags, environment, files and defaults in; one frozen value out.

`load` is the only reader of the three sources; everybody else gets a `Serve`, or the group of it that concerns them,
as an argument. `groups` says what settings exist and why, `kinds` what values they take, `catalogue` what they are
called in each source, `sources` reads one source, `aiges` ASF's file, `loading` puts the sources in order.
"""

from athena_serving.settings.groups import Batch, Hosted, Limits, Remark, Serve, Server, Service, Stream, Workers
from athena_serving.settings.loading import load

__all__ = ["Batch", "Hosted", "Limits", "Remark", "Serve", "Server", "Service", "Stream", "Workers", "load"]
