"""The child process that runs user code: plain blocking sockets and threads, no event loop of ours in its way.

It meets the house over three links that the supervisor made: its channel to the supervisor, and to each door a data
link and a side link. The engine runs calls; the orders thread reads everything that must not wait behind them.
"""
