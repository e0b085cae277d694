"""Broken pipelines with broken contracts, sent to be registered: an answer, and no event."""

import json
from pathlib import Path

import anyio
import yaml

from adapters.clock import SystemClock
from adapters.engines.binding import definition as binding
from adapters.memory.eventstore import MemoryEventStore
from commands.blueprint import Blueprints
from commands.dispatcher import CommandDispatcher
from runtime.wiring.writeside import LocalBinder
from tests.commands.stage import ADA, open_stage
from tests.fuzz.mutation import Mutator
from tests.fuzz.seeds import CONTRACT, CONTRACT_WORDS, PIPELINE, PIPELINE_WORDS

inputs = 150
"""Each is bound for real, which takes a hundred times as long as reading it."""

BOUND_BY = binding.bind
"""Loaded here: loading it in the event loop would block it."""

codes = {"invalid_pipeline", "malformed", "too_large"}


def test_a_refused_registration_leaves_no_event(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a,b\n1,x\n")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CONTRACT))
    accepted = anyio.run(registered, str(tmp_path))
    assert 0 < accepted < inputs, "some mutations are harmless, most are not"


async def registered(root: str) -> int:
    """How many were taken."""
    pipelines, contracts = Mutator(1, PIPELINE_WORDS), Mutator(1, CONTRACT_WORDS)
    store = MemoryEventStore()
    accepted = 0
    async with open_stage(store) as stage:
        binder = LocalBinder((root,))
        dispatcher = CommandDispatcher(stage.actors, store, binder, SystemClock(), Blueprints())
        for number in range(inputs):
            spec = PIPELINE if number % 2 else pipelines.values(PIPELINE)
            contract = contracts.values(CONTRACT) if number % 2 else CONTRACT
            before = await store.head()
            payload = {"spec": spec, "files": {"c.yaml": json.dumps(contract)}, "root": root}
            reply = await dispatcher.dispatch("pipeline.register", payload, ADA)
            if reply["status"] == "accepted":
                accepted += 1
                continue
            assert reply["code"] in codes, reply
            assert reply["message"]
            assert await store.head() == before
    return accepted
