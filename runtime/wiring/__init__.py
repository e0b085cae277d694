"""The composition root: the one place that names technologies and puts the parts together.

`files` reads what lies on disk without a service; `readside` is the views of one store; `client`
and `offline` are the ways to a data directory; `service` is everything in one process. Whoever
needs one of them imports just that: a command that only looks must not wait for the parts of a
service.
"""
