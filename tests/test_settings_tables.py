"""Tables of settings and arguments in the documentation have the right cells, and every setting has a description."""

from typing import Annotated, Literal

import pytest
from generated_docs.settings_tables import argument_rows, constructor_section, settings_rows, type_in_words
from pydantic import Field

from features import Count, Settings


class Inner(Settings):
    """Inner settings."""

    size: Count = 3
    """Number of things."""


class Outer(Settings):
    """Outer settings."""

    mode: Literal["a", "b"] | None = "a"
    """Mode, `a|b`."""
    inner: Inner | None = None
    """Inner mapping."""
    given: list[str]
    """Names."""
    as_: float = Field(0.5, alias="as", gt=0, lt=1)
    """Fraction."""


def test_settings_have_key_type_default_and_meaning():
    assert list(settings_rows(Outer)) == [
        ["`mode`", "`a`, `b` or `null`", "`a`", "Mode, `a\\|b`."],
        ["`inner`", "mapping or `null`", "`null`", "Inner mapping."],
        ["`inner.size`", "integer ≥ 1", "`3`", "Number of things."],
        ["`given`", "list of strings", "required", "Names."],
        ["`as`", "number > 0, < 1", "`0.5`", "Fraction."],
    ]


def test_a_setting_without_a_description_is_an_error():
    class Silent(Settings):
        """Settings."""

        size: int = 1

    with pytest.raises(ValueError, match=r"Silent\.size: write a docstring under the setting"):
        list(settings_rows(Silent))


def make(size: tuple[int, ...] = (8, 4), bound: float | None = None, seed: int = 0) -> None:
    """Thing with
    a size.

        w <- w - size

    A note for readers of the class.

    Args:
        size: widths, the
            first one first.
        bound: None: no bound.
        seed: seed of the experiment.

    >>> 1 + 1
    2
    """


def test_a_constructor_has_its_summary_its_formula_and_its_arguments():
    assert constructor_section("thing", make) == (
        "### `thing`\n\nThing with\na size.\n\n    w <- w - size\n\n"
        "| key | type | default | meaning |\n|---|---|---|---|\n"
        "| `size` | list of integers | `[8, 4]` | Widths, the first one first. |\n"
        "| `bound` | number or `null` | `null` | `null`: no bound. |"
    )


def test_an_argument_without_a_description_is_an_error():
    def silent(size: int = 1) -> None:
        """Thing.

        Args:
            width: another argument.
        """

    with pytest.raises(ValueError, match="silent: describe size under `Args:`"):
        list(argument_rows(silent))


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "`true` or `false`"),
        (str | list[str] | None, "string, list of strings or `null`"),
        (tuple[float, float, float], "list of 3 numbers"),
        (tuple[tuple[str, str], ...], "list of lists of 2 strings"),
        (dict[str, int], "mapping"),
        (bool | None, "`true`, `false` or `null`"),
        (list[str | int], "list of strings or integers"),
        (list[Literal["logistic", "trees"]], "list of `logistic` or `trees`"),
        (list[bool], "list of `true` or `false`"),
        (Annotated[int, Field(ge=2, le=100)], "integer from 2 to 100"),
        (Annotated[int, Field(gt=0, le=10**12)], "integer ≥ 1"),
        (Annotated[int, Field(ge=0, lt=2**31)] | None, "integer ≥ 0 or `null`"),
        (Annotated[float, Field(gt=0, le=1)], "number > 0, ≤ 1"),
    ],
)
def test_types_are_words(annotation, words):
    assert type_in_words(annotation) == words
