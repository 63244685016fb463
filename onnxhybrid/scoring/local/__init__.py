"""Scoring on this machine: one session, with two pieces under way so that one is written while the other is asked."""
