"""Work in the background: durable, one job at a time, with progress, cancelled between steps."""

from service.jobs.runner import Handler, JobRunner, Kind, Task

__all__ = ["Handler", "JobRunner", "Kind", "Task"]
