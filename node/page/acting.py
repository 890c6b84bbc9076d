"""What operators do on the page: the same as at the command line, in their own name."""

from collections.abc import Callable
from dataclasses import replace

from starlette.responses import RedirectResponse, Response

from config.errors import UsageError
from node.operating import actions
from node.operating.actions import Done, WorkRole
from node.operating.desk import Desk
from node.page.visits import Act, Visit, sentence
from storage.records import Priority

Operate = Callable[[Visit, Desk], Done]


def acting(operate: Operate, *, back_to: str = "") -> Act:
    """Make what answers a visit out of an action: it is done, and told on the next page.

    Parameters
    ----------
    operate
        The action.
    back_to
        Where the visitor goes then, if the action is not about a study.
    """

    def act(visit: Visit) -> Response:
        desk = replace(visit.site.desk, person=visit.visitor.person)
        token, target = visit.visitor.token, back_to or "/"
        try:
            done = operate(visit, desk)
        except UsageError as error:
            visit.site.notes.leave(token, sentence(str(error)), is_error=True)
            study_id = visit.form.get("study", "")
            if not back_to and study_id.isascii() and study_id.isdigit():
                target = f"/studies/{study_id}"
        else:
            visit.site.look_again()
            visit.site.notes.leave(token, sentence(done.said))
            if done.study_id is not None:
                target = f"/studies/{done.study_id}"
        return RedirectResponse(target, 303)

    return act


def retry(visit: Visit, desk: Desk) -> Done:
    """Run an ended analysis again."""
    return actions.retry(desk, visit.number("job_id"))


def resend(visit: Visit, desk: Desk) -> Done:
    """Send again what could not be delivered."""
    return actions.resend(desk, visit.number("job_id"))


def cancel(visit: Visit, desk: Desk) -> Done:
    """Give an analysis up."""
    return actions.cancel(desk, visit.number("job_id"))


def prioritise(visit: Visit, desk: Desk) -> Done:
    """Put a queued analysis before or after others."""
    wanted = visit.form.get("priority", "")
    if wanted not in tuple(Priority):
        raise UsageError("there is no such priority")
    return actions.prioritise(desk, visit.number("job_id"), Priority(wanted))


def readmit(visit: Visit, desk: Desk) -> Done:
    """Take a study out of quarantine."""
    return actions.readmit(desk, visit.number("study_id"))


def drain(visit: Visit, desk: Desk) -> Done:
    """Let workers take nothing new."""
    return actions.drain(desk, _roles(visit))


def resume(visit: Visit, desk: Desk) -> Done:
    """Let workers take new work again."""
    return actions.resume(desk, _roles(visit))


def _roles(visit: Visit) -> tuple[WorkRole, ...]:
    wanted = visit.form.get("role", "")
    if wanted not in tuple(WorkRole):
        raise UsageError("there is no such role")
    return (WorkRole(wanted),)
