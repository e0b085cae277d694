"""The run: the orchestrator's brain. It alone decides order, retries and the end."""
