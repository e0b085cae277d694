-- One statement, so that a run and its steps are of the same moment.
-- name: monitoring.run
SELECT r.*,
    (SELECT min(s.started_at) FROM monitoring_steps s WHERE s.run = r.run) AS started_at,
    (SELECT json_agg(json_build_array(s.step, s.warnings) ORDER BY s.place)::text FROM (
        -- What looks into JSON refuses all of it where a null character is in it.
        SELECT step, place, replace(outcome, '\u0000', '\ufffd')::json -> 'warnings' AS warnings
        FROM monitoring_steps
        WHERE run = r.run AND strpos(outcome, '"warnings"') > 0
            AND replace(outcome, '\u0000', '\ufffd')::json -> 'warnings' IS NOT NULL
        ORDER BY place LIMIT 1000
    ) s) AS warnings,
    (SELECT json_agg(json_build_object(
        'id', s.step,
        'place', s.place,
        'kind', s.kind,
        'engine', s.engine,
        'depends', s.depends::json,
        'status', s.status,
        'attempts', s.attempts,
        'due', s.due,
        'worker', s.worker,
        'started_at', s.started_at,
        'attempt_started_at', s.attempt_started_at,
        'finished_at', s.finished_at,
        'reused_from', s.reused_from,
        'because', s.because,
        'outcome', s.outcome::json,
        'error', s.error::json,
        'log', s.log
    ) ORDER BY s.place)::text FROM (
        SELECT * FROM monitoring_steps
        WHERE run = r.run AND place > :after ORDER BY place LIMIT :limit
    ) s) AS step_rows
FROM monitoring_runs r
WHERE r.run = :run;
