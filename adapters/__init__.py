"""Technologies, each in a folder or file of its own, behind the ports of the two sides."""
