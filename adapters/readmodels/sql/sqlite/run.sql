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
