"""Libraries that a bundle's modules import are known by their versions."""

from importlib.metadata import version

import pyarrow as pa

from adapters.engines.distributions import libraries


def test_libraries_are_told_apart_from_python_and_the_bundle() -> None:
    files = {
        "steps.py": "import json, helper\nimport pyarrow.compute as pc\nfrom nowhere import x\n",
        "helper.py": "def f():\n    import yaml\n    from . import other\n",
        "package/inner.py": "import package.other\n",
        "query.sql": "import duckdb",
        "broken.py": "import (",
    }
    assert libraries(files) == (
        "nowhere ?",
        f"pyarrow {pa.__version__}",
        f"yaml PyYAML {version('PyYAML')}",
    )
    assert libraries({}) == ()
