"""Tools of asyncio and of the operating system that never heard of Athena. Standard library only."""
