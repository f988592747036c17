"""What may have been meant, of one word and of very many."""

from domain.suggestions import Suggestions, did_you_mean

WORDS = [f"step_number_{number}" for number in range(200)]


def test_the_nearest_word_may_have_been_meant() -> None:
    assert did_you_mean("step_numbr_17", WORDS) == "; did you mean step_number_17?"
    assert did_you_mean("nothing", WORDS) == ""


def test_of_very_many_words_it_is_told_of_the_first_alone() -> None:
    suggestions = Suggestions()
    told = [suggestions.did_you_mean("step_numbr_17", WORDS) for _ in range(500)]
    assert told[0] == did_you_mean("step_numbr_17", WORDS)
    assert 5 <= sum(map(bool, told)) <= 50
    assert not any(told[50:])
    of_few = Suggestions()
    assert all(of_few.did_you_mean("inptu", ["input", "results", "steps"]) for _ in range(500))
