"""The workers of this machine as a door sees them.

Admission says yes or no to a call and never waits; the queue waits; dispatch gives a call to the worker with the least
to do; the session table knows every call that is with a worker and ends each exactly once.
"""
