"""The command line: words in, texts and exit codes out."""
