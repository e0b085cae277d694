-- name: monitoring.pipelines
SELECT p.*,
    (SELECT run FROM monitoring_runs r WHERE r.pipeline = p.pipeline
     ORDER BY r.position DESC LIMIT 1) AS last_run,
    (SELECT status FROM monitoring_runs r WHERE r.pipeline = p.pipeline
     ORDER BY r.position DESC LIMIT 1) AS last_status
FROM monitoring_pipelines p
WHERE p.pipeline > :after AND (:status IS NULL OR p.status = :status)
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
    AND (:status IS NULL OR r.status = :status)
ORDER BY r.position DESC
LIMIT :limit;

-- name: monitoring.run_ids
SELECT run AS name FROM monitoring_runs ORDER BY position DESC LIMIT :limit;

-- name: monitoring.pipeline_of_run
SELECT pipeline FROM monitoring_runs WHERE run = :run;

-- One statement, so that a run and its steps are of the same moment.
-- name: monitoring.run
SELECT r.*,
    (SELECT min(s.started_at) FROM monitoring_steps s WHERE s.run = r.run) AS started_at,
    (SELECT json_group_array(json(s.warnings)) FROM (
        SELECT json_array(step, json(json_extract(outcome, '$.warnings'))) AS warnings FROM monitoring_steps
        WHERE run = r.run AND json_extract(outcome, '$.warnings') IS NOT NULL ORDER BY place LIMIT 1000
    ) s) AS warnings,
    (SELECT json_group_array(json_object(
        'id', s.step,
        'place', s.place,
        'kind', s.kind,
        'engine', s.engine,
        'depends', json(s.depends),
        'status', s.status,
        'attempts', s.attempts,
        'due', s.due,
        'worker', s.worker,
        'started_at', s.started_at,
        'attempt_started_at', s.attempt_started_at,
        'finished_at', s.finished_at,
        'reused_from', s.reused_from,
        'because', s.because,
        'outcome', json(s.outcome),
        'error', json(s.error),
        'log', s.log
    )) FROM (
        SELECT * FROM monitoring_steps
        WHERE run = r.run AND place > :after ORDER BY place LIMIT :limit
    ) s) AS step_rows
FROM monitoring_runs r
WHERE r.run = :run;
