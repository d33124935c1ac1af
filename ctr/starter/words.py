"""Words in the names of columns that tell what a column means."""

import re
from collections.abc import Collection


def _set(*lines: str) -> frozenset[str]:
    """Return the words of texts."""
    return frozenset(word for line in lines for word in line.split())


LABELS = (
    _set("label target y"),
    _set("click clicked clk is_click is_clicked"),
    _set(
        "purchased is_purchase is_purchased bought converted is_conversion is_converted installed is_installed",
        "is_attributed outcome response purchase conversion install",
    ),
)
"""Names of labels, the most telling first."""
OUTCOMES = _set(
    "conversions clicks purchases installs liked is_like shared is_share subscribed add_to_cart is_add_to_cart ordered",
    "is_order paid refunded churned unsubscribed",
).union(*LABELS)
"""Names of columns of 0 and 1 that tell what happened, so they are known only after the event."""
FLAGS = _set("is has was are can in with no not flag isweekend weekend holiday")
"""Words in the names of columns of 0 and 1 that describe an example."""
IDS = _set(
    "id ids uid uuid guid key code codes zip zipcode postcode postal hash user users item product sku movie song",
    "category cat subcategory city country region state county brand type kind class group segment cluster campaign ad",
    "creative advertiser publisher site domain app device model os browser page url shop store seller merchant channel",
    "slot position pos placement version weekday month hour dow day flag level status gender language author genre",
    "member customer visitor shopper account session cookie query keyword tag tags department aisle bucket bin no",
)
"""Words in the names of integers that are ids."""
QUANTITIES = _set(
    "age ages amount amt avg average balance count counts counter cnt days distance duration gain height hours income",
    "length loss mean median minutes months num price prices cost quantity qty rating ratings ratio rate revenue sales",
    "salary score seconds size spend spent sum temperature total value views visits weight width year years clicks",
    "impressions percent pct likes orders budget bid stock discount rank",
)
"""Words in the names of integers that are quantities."""
COUNTS = _set("num n count cnt total avg sum max min mean nb number")
"""First words in the names of quantities, such as `num_items`."""
EVENT_TIMES = _set("time times ts timestamp date datetime dt day event at impression served request occurred")
"""Words in the names of times of events."""
OTHER_TIMES = _set(
    "birth born dob birthday birthdate signup registered registration joined created published release released",
    "updated modified expires expiry expiration until start end deadline last first install installed",
)
"""Words in the names of times that describe a user or an item."""
USERS = (
    _set("user uid userid member customer shopper visitor viewer buyer client account"),
    _set("cookie device deviceid idfa gaid"),
    _set("session sessionid query search request"),
)
"""Words in the names of columns to group by: users, then their devices, then sessions."""
KEYS = _set("id key hash hashed no anonymous")
"""Words that go with the name of a user."""
PREDICTIONS = _set("p prob probability score pred prediction predicted propensity pctr pcvr")
"""Words in the names of other models' predictions."""
WEIGHTS = _set("sample_weight example_weight instance_weight importance_weight row_weight")
"""Names of sample weights."""


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case, divided at case, digits and punctuation.

    >>> words_of("user_id"), words_of("DeviceTypeV2"), words_of("item age (days)")
    (['user', 'id'], ['device', 'type', 'v'], ['item', 'age', 'days'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def has_word(name: str, words: Collection[str]) -> bool:
    """Return True if a word of the name is among `words`."""
    return any(word in words for word in words_of(name))


def last_known(name: str) -> str | None:
    """Return "id" or "quantity", the meaning of the last telling word of a name; None without such a word.

    >>> last_known("user_age"), last_known("age_group"), last_known("num_items"), last_known("C14")
    ('quantity', 'id', 'quantity', None)
    """
    words = words_of(name)
    if len(words) > 1 and words[0] in COUNTS:
        return "quantity"
    for word in reversed(words):
        if word in QUANTITIES or word in IDS:
            return "quantity" if word in QUANTITIES else "id"
    return None
