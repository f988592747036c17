"""The tree of refusals and failures that the module's docstring draws."""

import inspect
import re

from domain import errors


def test_the_tree_names_every_error() -> None:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    there = {each.__name__ for each in classes if each.__module__ == errors.__name__}
    assert there - {*re.findall(r"\w+", inspect.getdoc(errors) or "")} == set()
