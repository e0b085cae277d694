"""A bus whose files are harmed while nobody runs."""

from pathlib import Path

from tests.e2e.project import Project


def test_a_work_queue_whose_consumer_cannot_be_made_is_made_anew(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with project.up():
        first = project.json("run", "small.yaml")
    (consumer,) = (tmp_path / ".headwater/nats").rglob("HEADWATER_TASKS/obs/workers")
    for file in consumer.iterdir():
        file.unlink()
    consumer.rmdir()
    consumer.write_bytes(b"what a bad disk has left")
    with project.up():
        second = project.json("run", "small.yaml", "--no-cache")
    assert (first["status"], second["status"]) == ("completed", "completed")
    assert "the work queue is made anew" in (tmp_path / "up.log").read_text()
