"""A definition's steps as a Mermaid flow chart: what comes after what, and on which condition."""

from collections.abc import Iterator

from domain.definition import StepDefinition, WorkflowDefinition

_SHAPES = {"approval": ("{{", "}}"), "wait": ("([", "])"), "map": ("[[", "]]"), "workflow": ("[/", "/]")}
_PLAIN = ("[", "]")
_AS_THEY_ARE = frozenset(" _-.,:")


def mermaid(definition: WorkflowDefinition) -> str:
    """The chart's text, a node a step and a line for each ``after``."""
    return "\n".join(("flowchart TD", *_lines(definition))) + "\n"


def escaped(text: str) -> str:
    """A text that stands in a label as it is: all that could mean something to Mermaid, or to HTML, as its
    number.
    """
    return "".join(each if each.isalnum() or each in _AS_THEY_ARE else f"#{ord(each)};" for each in text)


def _lines(definition: WorkflowDefinition) -> Iterator[str]:
    # Not the types themselves: some, such as "end", are words of Mermaid's
    nodes = {step.step_type: f"s{number}" for number, step in enumerate(definition.steps)}
    for step in definition.steps:
        opening, closing = _SHAPES.get(step.kind, _PLAIN)
        yield f'  {nodes[step.step_type]}{opening}"{_label(step)}"{closing}'
    for step in definition.steps:
        node = nodes[step.step_type]
        condition = f'|"{escaped(step.when)}"| ' if step.when else " "
        for before in step.after:
            yield f"  {nodes[before]} -->{condition}{node}"
        if step.when and not step.after:
            yield f'  {node}w(("start")) -->{condition}{node}'
        if step.compensation is not None:
            undone = f"{escaped(step.step_type)} undone<br/>{escaped(step.compensation.kind)}"
            yield f'  {node}c["{undone}"]'
            yield f"  {node} -.-> {node}c"


def _label(step: StepDefinition) -> str:
    words = [step.kind]
    if step.map is not None:
        words.append(f"{step.map.each.kind} for each of {step.map.over}")
    if step.critical:
        words.append("critical")
    return f"{escaped(step.step_type)}<br/>{escaped(', '.join(words))}"
