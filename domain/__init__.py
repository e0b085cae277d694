"""Pure rules: what may happen to a pipeline and to a run, and what each fact looks like.

Nothing here reads a clock, a file or a socket. A decision takes a state and a command and returns
events, or raises a `Rejection`; `evolve` folds an event into the next state and never fails.
"""
