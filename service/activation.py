"""A change of the embedding bundle as a job."""

from functools import partial

from service.gallery.sqlite.jobs import Outcome
from service.jobs import Handler, Task
from service.models import Models


def activation_of(models: Models) -> Handler:
    """What puts bundles in force. Cut short or cancelled it leaves the one before; run again it goes on."""
    return partial(_activate, models)


def _activate(models: Models, task: Task) -> Outcome:
    activation = models.activate(task.actor, task.request["bundle_id"], task.step, task.check_wanted)
    return Outcome({"bundle_id": activation.bundle_id, "before": activation.before})
