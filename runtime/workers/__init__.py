"""Loops over the ports: what a service does all the time, each part owned by the supervisor.

store ─► RelayPart ─► bus ─► ProjectionPart ─► views
                                                 │
           steps ◄─ StepPart ◄─ queue ◄─ PolicyPart
"""

from runtime.workers.collection import CollectionPart
from runtime.workers.policy import PolicyPart
from runtime.workers.projection import ProjectionPart
from runtime.workers.relay import RelayPart
from runtime.workers.step import StepPart, StepPorts

__all__ = ["CollectionPart", "PolicyPart", "ProjectionPart", "RelayPart", "StepPart", "StepPorts"]
