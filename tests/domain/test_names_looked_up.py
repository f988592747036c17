"""Whatever name is told to be never there is one that JMESPath really looks for, and where it is not."""

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.bounded_jmespath import Allowance, search
from domain.expressions import compiled
from domain.name_rules import unknown_names
from domain.scopes import Scopes, Sort
from tests.domain.plans import map_step, plan, step

SCOPE = Scopes(plan(step("a"), map_step("b"))).of_item(map_step("b"))


class Watched:
    """A value that notes what it is asked for and has not."""

    path: str
    missed: set[str]

    def watched(self, path: str, missed: set[str]) -> Any:
        self.path, self.missed = path, missed
        return self

    def get(self, name: str) -> Any:
        if isinstance(self, dict) and name in self:
            return self[name]
        self.missed.add(f"{self.path}.{name}".removeprefix("."))
        return None


class Object(Watched, dict[str, Any]):  # type: ignore[misc]
    """One of which every member is known."""


class Text(Watched, str):
    """One that has no members."""


class Number(Watched, int):
    """One that has none either."""


def context(known: Any, missed: set[str], path: str = "") -> Any:
    """A context that is just as it was foreseen; anything that is not is a list with more of everything."""
    if isinstance(known, dict):
        members = {name: context(inner, missed, f"{path}.{name}") for name, inner in known.items()}
        return Object(members).watched(path, missed)
    if known is Sort.ANYTHING:
        return [{"a": {"status": 1}, "input": [1], "nothing": "x"}, {"b": [{}], "results": {"a": 1}}]
    return (Text("x") if known is Sort.TEXT else Number(1)).watched(path, missed)


_names = st.sampled_from(
    ["input", "results", "steps", "workflow", "item", "index", "a", "b", "status", "error", "id", "nothing"]
)


def _with_more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Both sides are evaluated of each: so there is neither ``||`` nor ``&&``."""
    follows = st.sampled_from(["[0]", "[1:]", "[*]", "[]", ".*", "[?nothing == a]", " | a", " | nothing"])
    return st.one_of(
        st.builds("{}.{}".format, inner, _names),
        st.builds("{}.[{}, {}]".format, inner, _names, _names),
        st.builds("{}.{{x: {}}}".format, inner, inner),
        st.builds("({}){}".format, inner, follows),
        st.builds("({}) | {}".format, inner, inner),
        st.builds("({})[*].{}".format, inner, _names),
        st.builds("({})[?{} == `1`].{}".format, inner, inner, _names),
        st.builds("({} == {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{x: {}, a: {}}}".format, inner, inner),
        st.builds("not_null({}, type({}))".format, inner, inner),
        st.builds("map(&{}, to_array({}))".format, inner, inner),
    )


_expressions = st.recursive(
    st.one_of(_names, st.sampled_from(["@", '`{"a": 1}`', "'a'", '"steps"."a"'])), _with_more, max_leaves=8
)


def told(expression: str) -> Iterator[str]:
    """The names that are told to be never there."""
    for message in unknown_names(compiled(expression).parsed, SCOPE, {}):
        found = re.match(r"there is no ([\w.]+)", message)
        assert found is not None
        yield found[1]


@settings(deadline=None, max_examples=1_500)
@given(_expressions)
def test_what_is_told_to_be_never_there_was_looked_for_in_vain(expression: str) -> None:
    missed: set[str] = set()
    search(compiled(expression), context(SCOPE.context, missed), Allowance())
    assert set(told(expression)) <= missed
