"""Where rows lie: datasets under the hash of their content, and files outside."""
