"""The pipeline: what its file says, and the stream of its revisions."""
