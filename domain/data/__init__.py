"""Value objects of the data itself: datasets, columns, checks, lineage, in OpenLineage's words."""
