-- From pipeline to pipeline by the index, never through all runs.
-- name: quality.checks
WITH RECURSIVE pipelines AS (
    SELECT coalesce(CAST(:pipeline AS TEXT), (SELECT min(pipeline) FROM quality_runs)) AS pipeline
    UNION ALL
    SELECT (SELECT min(r.pipeline) FROM quality_runs r WHERE r.pipeline > p.pipeline)
    FROM pipelines p WHERE CAST(:pipeline AS TEXT) IS NULL AND p.pipeline IS NOT NULL
), since AS MATERIALIZED (
    SELECT p.pipeline, coalesce((
        SELECT checked FROM quality_runs q
        WHERE q.pipeline = p.pipeline AND q.checked IS NOT NULL
        ORDER BY q.checked DESC LIMIT 1 OFFSET :runs - 1
    ), 0) AS position
    FROM pipelines p
)
SELECT r.pipeline, c.*
FROM since s
CROSS JOIN quality_runs r
CROSS JOIN quality_checks c
WHERE r.pipeline = s.pipeline AND r.checked >= s.position AND c.run = r.run
    AND (CAST(:step AS TEXT) IS NULL OR c.step = :step)
    AND (
        CAST(:rule AS TEXT) IS NULL OR c.name = :rule OR c.rule = :rule
        OR substr(c.rule, 1, length(:rule) + 1) = :rule || '('
    )
    AND (r.pipeline, c.step, c.name) > (:after_pipeline, :after_step, :after_name)
ORDER BY r.pipeline, c.step, c.name, r.checked DESC
LIMIT :limit;

-- name: quality.pipeline
SELECT pipeline FROM quality_runs WHERE pipeline = :pipeline LIMIT 1;

-- name: quality.places
WITH RECURSIVE pipelines AS (
    SELECT min(pipeline) AS pipeline FROM quality_runs
    UNION ALL
    SELECT (SELECT min(r.pipeline) FROM quality_runs r WHERE r.pipeline > p.pipeline)
    FROM pipelines p WHERE p.pipeline IS NOT NULL
), newest AS MATERIALIZED (
    SELECT p.pipeline, (
        SELECT max(r.checked) FROM quality_runs r WHERE r.pipeline = p.pipeline
    ) AS checked
    FROM pipelines p
)
SELECT DISTINCT r.pipeline, c.step
FROM newest n
JOIN quality_runs r ON r.pipeline = n.pipeline AND r.checked = n.checked
JOIN quality_checks c ON c.run = r.run
ORDER BY r.pipeline, c.step
LIMIT :limit;
