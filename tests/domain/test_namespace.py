"""Ids out of names."""

from uuid import NAMESPACE_URL, uuid5

from hypothesis import given
from hypothesis import strategies as st

from domain.namespace import Namespace

URN = "urn:workflow-orchestrator:test"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_they_are_those_of_the_standard_library(name: str) -> None:
    assert Namespace(URN).id(name) == str(uuid5(uuid5(NAMESPACE_URL, URN), name))


def test_another_namespace_gives_other_ids() -> None:
    assert Namespace(URN).id("a") != Namespace(f"{URN}2").id("a")
