"""Rows by few statements, of few kinds."""

import sqlite3
from contextlib import closing

import pytest

from infrastructure.sqlite.many_rows import insert, insertion, insertions


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 63, 64, 65, 84, 85, 200])
def test_all_rows_are_there_in_their_order(count: int) -> None:
    rows = [(number, f"thing {number}") for number in range(count)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE things (number INTEGER, name TEXT)")
        insert(connection, "INSERT INTO things", rows)
        assert connection.execute("SELECT number, name FROM things ORDER BY rowid").fetchall() == rows


def test_there_are_few_kinds_of_statement() -> None:
    kinds = {
        text
        for count in range(1, 300)
        for text, _ in insertions("INSERT INTO things", [(number, "") for number in range(count)])
    }
    assert len(kinds) == 4


def test_rows_of_many_bytes_go_by_statements_of_few_rows() -> None:
    rows = [(number, "x" * 50_000) for number in range(6)] + [(6, "x" * 500_000), (7, ""), (8, "")]
    found = insertions("INSERT INTO things", rows, weigh=lambda row: len(row[1]))
    assert [len(bound) // 2 for _, bound in found] == [1] * 9
    rows = [(number, "x" * 2_000) for number in range(64)]
    found = insertions("INSERT INTO things", rows, weigh=lambda row: len(row[1]))
    assert [len(bound) // 2 for _, bound in found] == [64]
    rows = [(number, "x" * 4_000) for number in range(70)]
    found = insertions("INSERT INTO things", rows, weigh=lambda row: len(row[1]))
    assert [len(bound) // 2 for _, bound in found] == [16, 16, 16, 16, 4, 1, 1]


def test_what_ends_the_statement_holds_for_each_row() -> None:
    again = "ON CONFLICT (number) DO UPDATE SET name = excluded.name"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE things (number INTEGER PRIMARY KEY, name TEXT)")
        insert(connection, "INSERT INTO things", [(1, "old"), (2, "old")], again)
        insert(connection, "INSERT INTO things", [(2, "new"), (3, "new"), (3, "newest")], again)
        found = connection.execute("SELECT * FROM things ORDER BY number").fetchall()
    assert found == [(1, "old"), (2, "new"), (3, "newest")]


def test_one_statement_is_carried_out_as_a_whole_or_not_at_all() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE things (number INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO things VALUES (7)")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(*insertion("INSERT INTO things", [(5,), (6,), (7,), (8,)]))
        assert connection.execute("SELECT number FROM things").fetchall() == [(7,)]
