"""Every limit of the domain, with its unit and its reason. Settings bound the rest."""

event_bytes_max = 64 * 1024
"""Encoded payload of one event: a fact with references, never data."""

definition_bytes_max = 800 * 1024
"""Encoded pipeline definition with its files: as many steps as are allowed fit, and it stays below
the bus's largest message (1 MiB)."""

part_bytes_max = 48 * 1024
"""Encoded part of a plan or of column edges: leaves room for the envelope under 64 KiB."""

command_bytes_max = 896 * 1024
"""Encoded payload of one command: a definition and its wrapping."""

steps_max = 10_000
"""Steps in one pipeline."""

parallel_max = 64
"""Steps of one run that are scheduled or running: a big run must not starve small ones."""

offered_max = 16
"""Steps of one run that wait for a worker: the next ones follow as they are taken, so that nobody
waits behind more of them, and a worker that reports one has the next without a way through the
queue."""

ahead_max = 16
"""Steps that a worker may do ahead of their leases."""

crashes_max = 3
"""Processes of one attempt that die: what kills three of them is the step's own doing."""

leases_max = 10
"""Leases of one attempt. A worker that falls silent was mostly cut off or killed by others, but a
step that takes its whole machine along must come to an end, too."""

attempts_max = 100
"""Attempts of one step that a retry policy may ask for."""

redos_max = 100
"""Tries to put back one quarantine; each needs a look at the run of the one before."""

row_maps_max = 32
"""Steps in a row whose rows are followed back to their file, through those that left rows out."""

drafts_max = 16
"""Draft revisions of a pipeline that a run can still be started from."""

project_chars_max = 1024
"""Characters of a project's name, which may be the path of its folder."""

nesting_max = 64
"""Levels of lists and maps in a payload or a pipeline file."""
