"""Step processes: warm children, each doing one step at a time for the pool that owns them.

       event loop                                     children, each in a session of its own
    ┌──────────────┐  step, bind, ping  (pipe)  ┌──────────────────────────────────────────┐
    │  ChildPool   ├───────────────────────────►│ reader thread ─► main thread ─► result   │
    │   Guard      │◄───────────────────────────┤   stdout, stderr → the attempt's log     │
    └──────────────┘  result            (pipe)  └──────────────────────────────────────────┘

A child that closes its pipe has died: `ChildLost`. A parent that closes its pipe has died: the
child ends itself and everything it started, at once, whatever it is doing. The parent kills what
takes too long or too much memory; nothing that a step does can stop it from doing so.
"""
