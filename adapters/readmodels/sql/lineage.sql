-- name: lineage.datasets
SELECT d.*, r.pipeline
FROM lineage_datasets d LEFT JOIN lineage_runs r ON r.run = d.run
WHERE (d.namespace, d.name) > (:namespace, :name)
    AND (CAST(:pipeline AS TEXT) IS NULL OR r.pipeline = :pipeline)
ORDER BY d.namespace, d.name
LIMIT :limit;

-- name: lineage.dataset
SELECT d.*, r.pipeline
FROM lineage_datasets d LEFT JOIN lineage_runs r ON r.run = d.run
WHERE d.namespace = :namespace AND d.name = :name;

-- name: lineage.named
SELECT namespace, name
FROM lineage_datasets
WHERE name = :text
    OR namespace || ':' || name = :text
    OR substr(name, length(name) - length(:ending) + 1) = :ending
    OR substr(name, length(name) - length(:file) + 1) = :file
ORDER BY namespace, name
LIMIT :limit;

-- name: lineage.names
SELECT namespace, name FROM lineage_datasets ORDER BY position DESC, namespace, name LIMIT :limit;

-- name: lineage.versions
SELECT e.run, e.step, e.fingerprint, e.rows, e.bytes, s.recorded_at, e.position,
    s.reused_from, r.pipeline
FROM lineage_edges e
LEFT JOIN lineage_steps s ON s.run = e.run AND s.step = e.step
LEFT JOIN lineage_runs r ON r.run = e.run
WHERE e.namespace = :namespace AND e.name = :name AND e.direction = 'out'
    AND e.position < :before
ORDER BY e.position DESC
LIMIT :limit;

-- The key of the edges begins with the run. `|| ''` keeps planners from the index by name, which
-- leads through all versions that the dataset ever had.
-- name: lineage.versions_of_run
SELECT e.run, e.step, e.fingerprint, e.rows, e.bytes, s.recorded_at, e.position,
    s.reused_from, r.pipeline
FROM lineage_edges e
LEFT JOIN lineage_steps s ON s.run = e.run AND s.step = e.step
LEFT JOIN lineage_runs r ON r.run = e.run
WHERE e.run = :run AND e.direction = 'out'
    AND e.namespace || '' = :namespace AND e.name || '' = :name AND e.position < :before
ORDER BY e.position DESC
LIMIT :limit;

-- name: lineage.maker_in_run
SELECT run, step, position
FROM lineage_edges
WHERE run = :run AND direction = 'out' AND namespace || '' = :namespace AND name || '' = :name
ORDER BY position DESC
LIMIT 1;

-- name: lineage.maker_before
SELECT run, step, position
FROM lineage_edges
WHERE namespace = :namespace AND name = :name AND direction = 'out' AND position < :before
ORDER BY position DESC
LIMIT 1;

-- name: lineage.readers
SELECT e.run, e.step, e.position, r.pipeline
FROM lineage_edges e LEFT JOIN lineage_runs r ON r.run = e.run
WHERE e.namespace = :namespace AND e.name = :name AND e.direction = 'in'
ORDER BY e.position DESC
LIMIT :limit;

-- name: lineage.step
SELECT s.kind, s.reused_from, s.position, s.recorded_at, r.pipeline, r.revision
FROM lineage_steps s LEFT JOIN lineage_runs r ON r.run = s.run
WHERE s.run = :run AND s.step = :step;

-- name: lineage.edges_of_step
SELECT e.direction, e.namespace, e.name, e.fingerprint, e.rows, e.bytes, s.recorded_at
FROM lineage_edges e LEFT JOIN lineage_steps s ON s.run = e.run AND s.step = e.step
WHERE e.run = :run AND e.step = :step
ORDER BY e.direction, e.namespace, e.name;

-- name: lineage.columns_of_step
SELECT c.edges
FROM (
    SELECT 1 AS part, columns FROM lineage_steps WHERE run = :run AND step = :step
    UNION ALL
    SELECT part, columns FROM lineage_traces WHERE run = :run AND step = :step
) t JOIN lineage_columns c ON c.columns = t.columns
ORDER BY t.part;

-- name: lineage.quarantines
SELECT q.*, r.pipeline
FROM lineage_quarantines q LEFT JOIN lineage_runs r ON r.run = q.run
WHERE q.position < :before
    AND (CAST(:pipeline AS TEXT) IS NULL OR r.pipeline = :pipeline)
    AND (CAST(:settled AS INTEGER) IS NULL
        OR CASE WHEN q.settled_by IS NULL THEN 0 ELSE 1 END = :settled)
ORDER BY q.position DESC
LIMIT :limit;

-- name: lineage.quarantines_of_run
SELECT q.*, r.pipeline
FROM lineage_quarantines q LEFT JOIN lineage_runs r ON r.run = q.run
WHERE q.run = :run AND q.position < :before
    AND (CAST(:pipeline AS TEXT) IS NULL OR r.pipeline = :pipeline)
    AND (CAST(:settled AS INTEGER) IS NULL
        OR CASE WHEN q.settled_by IS NULL THEN 0 ELSE 1 END = :settled)
ORDER BY q.position DESC
LIMIT :limit;
