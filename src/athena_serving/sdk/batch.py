"""Calls that user code answers together: `wrapperBatchExec(self, batch)`.

    def wrapperBatchExec(self, batch):
        texts = [item.data.get("text").data.decode() for item in batch]
        return [Response([ResponseData("vector", one)]) for one in model(texts)]

One answer an item, in the same order: a `Response`, or an exception, which fails its item alone.
"""

from athena_serving.sdk.context import Context
from athena_serving.sdk.data import DataListCls


class BatchItem:
    """One call of a batch: whose it is, for how long, and what it wants."""

    def __init__(
        self, params: dict[str, str], data: DataListCls, context: Context, persons: tuple[int, ...] = ()
    ) -> None:
        self.params = params
        """As `params` of `wrapperOnceExec`."""
        self.data = data
        """As `reqData` of `wrapperOnceExec`: `item.data.get("text").data`."""
        self.context = context
        """The item's own call: `item.context.cancelled` says that nobody waits for it any more."""
        self.persons = persons
        """Numbers of its personal resources, as `psrIds`; the first is what `persId` is elsewhere."""

    @property
    def sid(self) -> str:
        """Names the item's call in every log and in the answer."""
        return self.context.sid
