"""A definition's steps as a Mermaid flowchart, with their order and conditions."""

from collections.abc import Iterator

from domain.definition import StepDefinition, WorkflowDefinition

_SHAPES = {"approval": ("{{", "}}"), "wait": ("([", "])"), "map": ("[[", "]]"), "workflow": ("[/", "/]")}
_PLAIN = ("[", "]")
_AS_THEY_ARE = frozenset(" _-.,:")


def mermaid(definition: WorkflowDefinition) -> str:
    """Return the flowchart's text, with a node for each step and a line for each ``after``."""
    return "\n".join(("flowchart TD", *_lines(definition))) + "\n"


def escaped(text: str) -> str:
    """Return a text for a label. Characters with a meaning in Mermaid or HTML are replaced by their
    numbers."""
    return "".join(each if each.isalnum() or each in _AS_THEY_ARE else f"#{ord(each)};" for each in text)


def _lines(definition: WorkflowDefinition) -> Iterator[str]:
    # The step types cannot be the nodes' names: some, such as "end", are keywords of Mermaid
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
