"""Every limit of the read side, with its unit and its reason."""

feed_events_max = 1_000
"""Events taken from the feed into one transaction: keeps a live view a few milliseconds behind."""

log_events_max = 2_000
"""Events read from the log into one transaction: enough to merge changes of whole runs, and few
enough to stay in the processor's cache until they are written."""

beside_events_max = 1_000
"""Events folded at once beside a live view: a few milliseconds in which nothing else is done."""

backstop_seconds = 1.0
"""Between two looks at the head of the log: what the bus lost is seen after this time."""

differences_max = 1_000
"""Differences that one comparison reports for a view; there may be more."""

chain_events_max = 1_000
"""Events of the chain read and checked at once: about 1 MB."""

chain_findings_max = 1_000
"""Findings in a chain after which the rest is not looked at."""

flips_sought_max = 10
"""Altered events in which the altered byte is looked for; each may take most of a second."""

swap_attempts_max = 100
"""Tries to overtake a view that is being written while it is replaced."""

page_items_default = 50
"""Items on a page of a list that does not say how many it wants."""

page_items_max = 1_000
"""Items on a page of any list."""

page_bytes_max = 512 * 1024
"""Encoded items on a page: well below the bus's largest message (1 MiB)."""

scan_events_max = 5_000
"""Events looked at for one page of filtered events: some 30 ms. It ends there with a cursor."""

scan_chunk_events_max = 1_000
"""Events of those that are read at once."""

scan_skew_seconds = 60
"""By how much the clocks of those who recorded events may differ."""

wait_seconds_default = 5.0
"""How long a query waits for `min_position` where it does not say."""

wait_seconds_max = 60.0
"""The longest that a query may wait for `min_position`."""

trend_runs_default = 10
"""Runs of a rule's trend where nobody says how many: what fits a line of a terminal."""

trend_runs_max = 100
"""Runs of a rule's trend in one answer."""

depth_max = 100
"""Steps that a lineage question may follow from dataset to dataset."""

edges_max = 2_000
"""Edges in one answer about lineage: together well below the bus's largest message."""

consumers_max = 1_000
"""Newest readings of a dataset in which its present readers are looked for."""

candidates_max = 1_000
"""Names among which the one that was meant is looked for."""

facts_told_max = 100
"""Facts of one chain; the oldest are left out where a step was tried for ever."""

waits_told_max = 100
"""Things that a run or a step waits for, in one answer."""
