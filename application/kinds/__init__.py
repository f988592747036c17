"""The kinds of steps that a definition can have. A new one is a module here and a line below."""

from collections.abc import Mapping

from application.kinds.approval import APPROVAL
from application.kinds.event import EVENT
from application.kinds.http import HTTP
from application.kinds.kind import StepKind
from application.kinds.map import MAP
from application.kinds.task import TASK
from application.kinds.wait import WAIT
from application.kinds.workflow import WORKFLOW

KINDS: Mapping[str, StepKind] = {
    kind.name: kind for kind in (EVENT, HTTP, TASK, APPROVAL, WAIT, WORKFLOW, MAP)
}
"""Every kind by its name."""

__all__ = ["KINDS", "StepKind"]
