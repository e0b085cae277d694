"""The shape of the code, held by tests: what a review would say again and again."""
