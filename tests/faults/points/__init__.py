"""Where processes kill themselves."""
