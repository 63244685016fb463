"""`cascade`: the judge's verdict, the rows that it refuses, the escalation to the remote, and its early start."""
