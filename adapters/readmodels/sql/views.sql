-- name: views.position
SELECT position FROM view_checkpoints WHERE view = :view;
