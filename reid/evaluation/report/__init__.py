"""An evaluation for people: one HTML page that needs nothing beside it, and the same as JSON."""

from reid.evaluation.report.contents import Report
from reid.evaluation.report.files import write_report

__all__ = ["Report", "write_report"]
