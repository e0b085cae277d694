"""Pipeline files on disk: YAML, JSON and TOML into plain values, with the line of every path."""
