"""`fit_judge`: a score that learns from rows of the user's own which answers of the local model are good.

What a score computes is written once, as a graph (`features`, `opinion`, `compiling`): the rows that it is fitted on go
through the graph as those that are judged do.
"""
