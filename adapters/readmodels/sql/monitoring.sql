-- name: monitoring.pipelines
SELECT p.*,
    (SELECT run FROM monitoring_runs r WHERE r.pipeline = p.pipeline
     ORDER BY r.position DESC LIMIT 1) AS last_run,
    (SELECT status FROM monitoring_runs r WHERE r.pipeline = p.pipeline
     ORDER BY r.position DESC LIMIT 1) AS last_status
FROM monitoring_pipelines p
WHERE p.pipeline > :after AND (CAST(:status AS TEXT) IS NULL OR p.status = :status)
ORDER BY p.pipeline
LIMIT :limit;

-- name: monitoring.pipeline
SELECT p.*,
    (SELECT run FROM monitoring_runs r WHERE r.pipeline = p.pipeline
     ORDER BY r.position DESC LIMIT 1) AS last_run,
    (SELECT status FROM monitoring_runs r WHERE r.pipeline = p.pipeline
     ORDER BY r.position DESC LIMIT 1) AS last_status
FROM monitoring_pipelines p
WHERE p.pipeline = :pipeline;

-- name: monitoring.pipeline_names
SELECT pipeline AS name FROM monitoring_pipelines ORDER BY position DESC LIMIT :limit;

-- name: monitoring.runs
SELECT r.*,
    (SELECT min(s.started_at) FROM monitoring_steps s WHERE s.run = r.run) AS started_at
FROM monitoring_runs r
WHERE r.position < :before
ORDER BY r.position DESC
LIMIT :limit;

-- name: monitoring.runs_of_status
SELECT r.*,
    (SELECT min(s.started_at) FROM monitoring_steps s WHERE s.run = r.run) AS started_at
FROM monitoring_runs r
WHERE r.status = :status AND r.position < :before
ORDER BY r.position DESC
LIMIT :limit;

-- name: monitoring.runs_of_pipeline
SELECT r.*,
    (SELECT min(s.started_at) FROM monitoring_steps s WHERE s.run = r.run) AS started_at
FROM monitoring_runs r
WHERE r.pipeline = :pipeline AND r.position < :before
ORDER BY r.position DESC
LIMIT :limit;

-- name: monitoring.runs_of_pipeline_status
SELECT r.*,
    (SELECT min(s.started_at) FROM monitoring_steps s WHERE s.run = r.run) AS started_at
FROM monitoring_runs r
WHERE r.pipeline = :pipeline AND r.status = :status AND r.position < :before
ORDER BY r.position DESC
LIMIT :limit;

-- name: monitoring.run_ids
SELECT run AS name FROM monitoring_runs ORDER BY position DESC LIMIT :limit;

-- name: monitoring.pipeline_of_run
SELECT pipeline FROM monitoring_runs WHERE run = :run;
