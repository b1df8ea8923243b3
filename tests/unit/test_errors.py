"""One tree of errors; the docstring of each is its message."""

from collections.abc import Iterator

import pytest

from journey import errors
from journey.errors import CallerFault, Fault, InvalidDefinition, JalonError, OurFault


def tree(error: type[JalonError]) -> Iterator[type[JalonError]]:
    yield error
    for below in error.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from tree(below)


@pytest.mark.parametrize("error", list(tree(JalonError)))
def test_an_error_says_its_docstring_unless_told_otherwise(error: type[JalonError]) -> None:
    assert error.__doc__
    assert error.__doc__.endswith(".")
    assert str(error()) == error.__doc__
    assert str(error("something else")) == "something else"


@pytest.mark.parametrize("error", list(tree(JalonError))[1:])
def test_an_error_is_the_caller_s_fault_or_ours_and_stands_in_the_drawing(error: type[JalonError]) -> None:
    assert issubclass(error, CallerFault) is not issubclass(error, OurFault)
    assert error.__name__ in (errors.__doc__ or "")


def test_faults_are_the_message_of_an_error_that_has_them() -> None:
    error = InvalidDefinition(faults=(Fault("/a", "expected one"), Fault("", "expected two")))
    assert str(error) == "/a: expected one; /: expected two"
