"""How many worlds, or which one: `--seeds N` or `--seed N`."""

import os

import pytest

seeds_default = 500


def pytest_addoption(parser: pytest.Parser) -> None:
    """Only read where `tests/simulation` is named on the command line; else the environment."""
    group = parser.getgroup("simulation")
    group.addoption("--seeds", type=int, help=f"simulated worlds (default {seeds_default})")
    group.addoption("--seed", type=int, help="replay this one world")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each seed, so that a failing one is named."""
    if "seed" not in metafunc.fixturenames or metafunc.definition.get_closest_marker("parametrize"):
        return
    seed = metafunc.config.getoption("seed", None)
    seeds = metafunc.config.getoption("seeds", None)
    count = int(seeds or os.environ.get("HEADWATER_SEEDS", seeds_default))
    metafunc.parametrize("seed", [seed] if seed is not None else range(count))
