-- name: dispatch.open
SELECT run, step, attempt, engine, due, in_work, traceparent, correlation_id
FROM dispatch_steps
WHERE (run, step) > (:run, :step)
ORDER BY run, step
LIMIT :limit;
