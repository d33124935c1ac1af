"""Wording that the project avoids, each with what to write instead; `check_prose.py` looks for it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A phrase to avoid.

    Args:
        pattern: regular expression, case-insensitive.
        instead: advice for the writer.
    """

    pattern: re.Pattern[str]
    instead: str


def _rule(pattern: str, instead: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), instead)


PHRASES = [
    _rule(r"\banew\b", "again, from scratch, restart"),
    _rule(r"\bbeside\b", "next to, compared with, in addition to"),
    _rule(r"\b(?:stands?|stood) (?:in|for|beside|twice|alone|there|at)\b", "is in, represents, occurs twice"),
    _rule(r"\b(?:goes|go|going|went|gone) on\b", "continue, resume"),
    _rule(r"\b(?:is|are) none\b", "there is no ..., does not have"),
    _rule(r"(?<!there )\b(?:is|are) no (?!longer\b)\w+", "is not a ..., there is no ..."),
    _rule(
        r"\b(?:has|have) none\b|\b(?:has|have) not\b(?! (?:yet |only )?(?:been|\w+(?:ed|en|wn|un|ung|ght|ne))\b)",
        "does not have",
    ),
    _rule(r"\b(?:is|are|was|be) told\b", "is reported, is named, receives"),
    _rule(r"\bsaid of\b", "reported about"),
    _rule(r"\bspoken of\b", "mentioned, reported"),
    _rule(r"\balike\b", "similar, in the same way"),
    _rule(r"\bput (?:it|them) back\b", "restore"),
    _rule(r"\bthat (?:is|are|was) there\b", "existing"),
    _rule(r"\b(?:more than|by) luck\b", "statistically significant"),
    _rule(r"\bfound nothing\b", "passed"),
    _rule(r"\bmoved? (?:away|somewhat|somewhere)\b", "drifted, major drift, moderate drift"),
    _rule(
        r"\ba training\b(?! (?:\w+ )?(?:data|set|split|step|run|script|loop|job|example|row|loss|period|day|"
        r"file|and|without))",
        "a run; training is not countable",
    ),
    _rule(r"\btrainings\b", "runs"),
    _rule(r"\blabel rates?\b", "positive rate"),
    _rule(r"\bzero rows\b", "row sparsity, all-zero embeddings"),
    _rule(r"\bsome \d", "about N"),
    _rule(r"\d %(?!\}|\w| \d)", "2.1%, without a space"),
    _rule(r"\bleast (?:and|or) (?:the )?most\b", "minimum and maximum"),
    _rule(r"\bat hand\b", "available"),
    _rule(
        r"\b(?:colour|neighbour|behaviour|favour|(?:normal|initial|regular|serial|optim)is(?!t|m))\w*",
        "American spelling",
    ),
    _rule(r"\bdata sets?\b", "dataset, or split"),
    _rule(
        r"\b(?:is|are|was|were) (?:not )?shown\b(?= (?:to be|in (?:AUC|log))|[,;.)])", "is significant, inconclusive"
    ),
    _rule(r"\bruled out\b", "state the largest difference that the CI allows"),
    _rule(r"\bcannot be had\b|\bcould not be had\b|\bis not to be had\b", "is unavailable"),
    _rule(r"\bserve MB\b|\bMB to serve\b", "deployed size (MB)"),
    _rule(r"\b(?:whatsoever|wherein|thereof|whereby|hence)\b", "plain words"),
    _rule(r"\bone of up to\b", "the true difference could be as large as"),
    _rule(r"\bare counted half\b|\bcounted half\b", "ties count half"),
    _rule(r"\bas is said\b|\bso to speak\b|\bas it were\b", "say it directly"),
]
"""Phrases to avoid in documents, docstrings, comments, messages and pages."""

DOCSTRING_OPENINGS = frozenset(
    [
        "Of",
        "What",
        "Whether",
        "That",
        "Those",
        "Its",
        "So",
        "By",
        "As",
        "How",
        "Where",
        "When",
        "Which",
        "Who",
        "From",
        "To",
        "And",
        "Else",
        "One",
        "Such",
    ]
)
"""First words that make a docstring a fragment: functions start with a verb, classes and settings with a noun."""

ARGUMENT_OPENINGS = frozenset(
    [
        "of",
        "that",
        "to",
        "what",
        "whether",
        "those",
        "by",
        "as",
        "how",
        "where",
        "when",
        "which",
        "who",
        "from",
        "in",
        "with",
        "on",
        "at",
        "so",
        "for",
        "if",
        "such",
        "one",
    ]
)
"""First words that make an entry of `Args:` a fragment: it is a noun phrase."""

HEADING_OPENINGS = frozenset(["What", "How", "Why", "When", "Where", "Whether", "Which", "Who", "If"])
"""First words that make a heading a clause or a question: it names a task or a thing."""
