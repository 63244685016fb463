"""Many processes that work as one: the limits of a policy over all of them, and sessions that keep to their share.

It needs the extra `ray`; Ray is imported only when it is used.
"""
