"""Options that do not go with the other arguments or the data, and what each must be answered with."""

from breakable_experiment import COMPARE, study

STUDY_OPTIONS = [
    study(
        "a limit of memory below every run of a study",
        {},
        "--memory: the smallest run needs up to",
        "102.4 MiB",
        line=f"{COMPARE} --memory 0.1",
    ),
]
