"""Declared features: what a config declares about the columns of the data."""

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from features.kinds import KINDS
from features.kinds.feature import Feature
from features.settings import Settings, nearest, unknown_key


def _feature(values: Any) -> Any:
    """Create the feature of these settings, of the class that their `type` names."""
    if isinstance(values, Feature):
        return values
    if not isinstance(values, dict):
        raise ValueError("must be a mapping of settings, such as {type: numeric}")
    name = values.get("type")
    if not isinstance(name, str) or name not in KINDS:
        raise PydanticCustomError("unknown_type", "{message}", {"message": _unknown_type(name)})
    if others := _types_with_another_key(values, name):
        raise PydanticCustomError("unknown_key", "{message}", {"message": others})
    return KINDS[name].model_validate(values)


def _unknown_type(name: Any) -> str:
    return f"unknown type {name!r}; {nearest(str(name), list(KINDS))}"


def _types_with_another_key(values: dict[str, Any], name: str) -> str | None:
    """Return the message for a key that only other types of features have; None without such a key."""
    for key in values:
        types = [type_ for type_, kind in KINDS.items() if key in kind.config_keys()]
        if types and key not in (*KINDS[name].config_keys(), *KINDS[name].model_fields):
            return f"{key!r} is not a key of type {name}, but of {', '.join(types)}. Remove it, or change the `type`."
    return None


DeclaredFeature = Annotated[SerializeAsAny[Feature], BeforeValidator(_feature)]


class Features(Settings):
    """All features of an experiment, by name: what each is, its `type` says."""

    defaults: dict[str, Any] = {}
    """Settings of all features whose type has them. A feature's own encoding replaces the default encoding."""
    columns: dict[str, DeclaredFeature] = Field(min_length=1)
    """Feature name to its settings. In a config file, a key can be a pattern of column names, and a value can be
    `drop`."""
    unseen: Literal["shared", "own"] = "shared"
    """Embedding of an id that the training data never contains, for ids from `hash`, `identity`, `part` or a cross.
    `shared`: the out-of-vocabulary embedding. `own`: the id's own embedding, which is untrained."""

    @property
    def of_columns(self) -> dict[str, Feature]:
        """Features that read columns."""
        return {name: feature for name, feature in self.columns.items() if feature.columns}

    @property
    def crosses(self) -> dict[str, Feature]:
        """Features that are made of other features."""
        return {name: feature for name, feature in self.columns.items() if feature.parts}

    @property
    def input_columns(self) -> list[str]:
        """Columns of the data that features read, each once."""
        return list(dict.fromkeys(column for feature in self.columns.values() for column in feature.columns))

    @property
    def number_columns(self) -> set[str]:
        """Columns that only numeric features read: their numbers can have any type."""
        read = {is_number: set[str]() for is_number in (True, False)}
        for feature in self.columns.values():
            read[feature.reads_numbers].update(feature.columns)
        return read[True] - read[False]

    @property
    def categories(self) -> list[str]:
        """Features with one category per example: categoricals, numerics `as: buckets`, crosses."""
        return [name for name, feature in self.columns.items() if feature.holds == "category"]

    def columns_of(self, name: str) -> list[str]:
        """Return the columns of the data that a feature is made of."""
        feature = self.columns[name]
        return [*feature.columns, *(column for part in feature.parts for column in self.columns_of(part))]

    def only(self, names: Iterable[str]) -> "Features":
        """Return only these features, with the features that they are made of."""
        needed = set(names)
        needed |= {part for name, cross in self.crosses.items() if name in needed for part in cross.parts}
        return self.model_copy(update={"columns": {name: f for name, f in self.columns.items() if name in needed}})

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("columns"), dict):
            return values
        defaults = values.get("defaults") or {}
        if not isinstance(defaults, dict):
            raise ValueError(f"defaults must be a mapping of settings. Received: {defaults!r}")
        known = {"type"}.union(*(kind.config_keys() for kind in KINDS.values()))
        if unknown := [key for key in defaults if key not in known]:
            raise ValueError(f"defaults: {unknown_key(unknown[0], sorted(known))}")
        _check_defaults(defaults)
        columns = {
            str(name): _complete(str(name), settings or {}, defaults) for name, settings in values["columns"].items()
        }
        return {**values, "defaults": {}, "columns": columns}

    @model_validator(mode="after")
    def _agree_on_shared_tables(self) -> "Features":
        first_users: dict[str, Feature] = {}
        for feature in self.columns.values():
            if not feature.has_table:
                continue
            first_user = first_users.setdefault(feature.table_name, feature)
            table, other_table = feature.shared_table, first_user.shared_table
            if first_user is feature:
                continue
            if table is None or other_table is None:
                owner, user = (feature, first_user) if table is None else (first_user, feature)
                raise ValueError(
                    f"{user.name!r} cannot use table {owner.table_name!r}, which belongs to a {owner.type} feature. "
                    f"Use another `table`."
                )
            if differ := [key for key in {**table, **other_table} if table.get(key) != other_table.get(key)]:
                raise ValueError(
                    f"{first_user.name!r} and {feature.name!r} share table {feature.table_name!r} but differ in "
                    f"{differ[0]}: {other_table.get(differ[0])!r} and {table.get(differ[0])!r}. Give both the same."
                )
        return self

    @model_validator(mode="after")
    def _fit_one_another(self) -> "Features":
        for feature in self.columns.values():
            feature.check_features(self.columns)
            if missing := [part for part in feature.parts if part not in self.columns]:
                raise ValueError(
                    f"columns.{feature.name}: unknown feature {missing[0]!r}. Declare it, or remove it here."
                )
            if nested := [part for part in feature.parts if self.columns[part].parts]:
                raise ValueError(
                    f"columns.{feature.name}: {nested[0]!r} is made of other features. Use features that read columns."
                )
        return self


def _check_defaults(defaults: dict[str, Any]) -> None:
    """Check the defaults by themselves, so that a mistake in one is not a mistake of every feature.

    Raises:
        ValidationError: no feature type that has the setting accepts the value of a default.
    """
    if "type" in defaults and (not isinstance(defaults["type"], str) or defaults["type"] not in KINDS):
        raise ValueError(f"defaults: {_unknown_type(defaults['type'])}")
    for key, value in defaults.items():
        mistakes = [_mistake(kind, name, value) for kind, name in _users(key)]
        if mistakes and mistakes[0] is not None and None not in mistakes:
            raise mistakes[0]


def _users(key: str) -> list[tuple[type[Feature], str]]:
    """Return the feature types with the setting `key`, each with the name of its field."""
    return [
        (kind, name)
        for kind in KINDS.values()
        for name, field in kind.model_fields.items()
        if (field.alias or name) == key != "type"
    ]


def _mistake(kind: type[Feature], name: str, value: Any) -> ValidationError | None:
    """Return what is wrong with the default of a setting; None if the feature type accepts it."""
    model = _default_model(kind, name)
    try:
        model.model_validate({"defaults": {kind.model_fields[name].alias or name: value}})
    except ValidationError as error:
        return error
    return None


@cache
def _default_model(kind: type[Feature], name: str) -> type[BaseModel]:
    """Return a model of `{defaults: {key: value}}` for one setting of a feature type."""
    field = kind.model_fields[name]
    settings: dict[str, Any] = {field.alias or name: (field.rebuild_annotation(), ...)}
    return create_model("features", defaults=(create_model("defaults", __base__=Settings, **settings), ...))


def _complete(name: str, settings: Any, defaults: dict[str, Any]) -> Any:
    """Return a feature's settings, completed by its name and the defaults that apply to it."""
    if not isinstance(settings, dict):
        return settings
    if "name" in settings:
        raise ValueError(f"columns.{name}: unknown key 'name'. Remove it: the key of a feature is its name.")
    type_ = settings.get("type", defaults.get("type", "categorical"))
    if not isinstance(type_, str) or type_ not in KINDS:
        return {**settings, "type": type_}
    return {**KINDS[type_].completed(name, settings, defaults), "type": type_}
