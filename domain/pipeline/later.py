"""Words that the pipeline file will know one day. They are refused by name, not as unknown."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LATER: dict[str, frozenset[str]] = {
    "": _words(
        "schedule on_failure on_success partitions contracts connections "
        "engine owner tags alerts notify timezone env"
    ),
    "params": _words("secret values min max"),
    "sources": _words("connection query url partition"),
    "sources kind": _words(
        "dataset http postgres s3 sqlite excel avro nats kafka python delta iceberg"
    ),
    "steps": _words("where keep engine quarantine on_failure schedule sinks partition tags owner"),
    "steps kind": _words("index notify"),
    "sink": _words("connection table partition_by url key"),
    "sink kind": _words("postgres s3 sqlite http webhook mail nats kafka delta iceberg excel"),
    "rules": _words("extra_columns lookup mask"),
    "mode": frozenset(("upsert",)),
}
"""Where a word may stand → the words."""


def later(place: str, word: str) -> tuple[str, str] | None:
    """Message and hint for a word that comes later; None for any other."""
    if word not in LATER.get(place, ()):
        return None
    return f"`{word}` is not there yet", "a later version brings it; leave it out for now"
