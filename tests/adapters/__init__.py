"""What each technology does beyond its port's contract."""
