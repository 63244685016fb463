"""`cascade`: the verdict, the rows that are refused, the escalation to the remote, its early start, and the audit."""
