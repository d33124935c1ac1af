"""Every tower names its blocks before it is built, and the fields that it reads are a pure function of the inputs."""

import inspect
from dataclasses import replace

import pytest

from models import CAN, DIN, DNN, MODELS, Category, CTRModel, Field, Inputs, SequenceInput, Stream, Table, TwoStream

ITEMS, SHOPS, DIM = 30, 12, 4
INPUTS = Inputs(
    tables=(Table("item", ITEMS, DIM), Table("shop", SHOPS, DIM)),
    fields=(Field("item", "item", column=0), Field("shop", "shop", column=1)),
    numerics=("age",),
    plain=(0,),
    categories=(Category("item", 0, ITEMS, "item"), Category("shop", 1, SHOPS, "shop")),
    sequences=(SequenceInput("past", ITEMS, "item"),),
)
OTHERS = replace(INPUTS, tables=(Table("item", 9, DIM), INPUTS.tables[1]), plain=())


def small(make):
    """Return a tower with narrow layers, if it has layers."""
    return make(**({"hidden": (6,)} if "hidden" in inspect.signature(make).parameters else {}))


TOWERS = {
    **{name: lambda make=make: small(make) for name, make in MODELS.items() if make not in (CAN, DIN, TwoStream)},
    "din": lambda: DIN({"past": "item"}, attention=(3,), hidden=(5,)),
    "can": lambda: CAN(DNN(hidden=(5,)), (("item", "past"),), micro_mlp=(4, 3)),
    "two_stream": lambda: TwoStream({"easy": Stream(DNN(hidden=(5,))), "hard": Stream(DIN({"past": "item"}), dim=3)}),
}
every_tower = pytest.mark.parametrize("make", TOWERS.values(), ids=TOWERS)


def names_and_shapes(tower):
    return {name: [tuple(v.shape) for one in layers for v in one.variables] for name, layers in tower.blocks.items()}


@every_tower
def test_a_tower_names_its_blocks_before_it_is_built(make):
    tower = make()
    names = list(tower.blocks)
    model = CTRModel(INPUTS, tower)
    assert names == list(model.tower.blocks)
    held = [id(v) for layers in tower.blocks.values() for layer in layers for v in layer.trainable_variables]
    assert sorted(held) == sorted(id(v) for v in tower.trainable_variables)


@every_tower
def test_extending_changes_no_tower(make):
    tower, fresh = make(), make()
    before = {key: value for key, value in vars(tower).items() if not key.startswith("_obj_reference")}
    assert tower.extend(INPUTS) == tower.extend(INPUTS) == fresh.extend(INPUTS)
    tower.extend(OTHERS)
    assert {key: value for key, value in vars(tower).items() if not key.startswith("_obj_reference")} == before
    assert names_and_shapes(CTRModel(INPUTS, tower).tower) == names_and_shapes(CTRModel(INPUTS, fresh).tower)
