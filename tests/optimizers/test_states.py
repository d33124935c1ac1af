"""Each state belongs to the right variable, whatever their names, and the optimizer inside wrappers is found."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import DNN, CTRModel, Field, Inputs, Table
from optimizers import Lookahead, Regularized, RMSPropV2, Router, adam, adamw, innermost, lion, sgd_dense
from optimizers.adafactor import Adafactor
from optimizers.states import build_and_record_states


def two_of_one_name():
    return [tf.Variable(np.full(shape, 0.5, np.float32), name="kernel") for shape in ([2, 3], [4, 1])]


MADE = {  # optimizer -> the names of its states and their shapes for a variable [2, 3]
    "adam": (adam, {"m": [2, 3], "v": [2, 3]}),
    "adamw": (adamw, {"m": [2, 3], "v": [2, 3]}),
    "amsgrad": (lambda: adam(amsgrad=True), {"m": [2, 3], "v": [2, 3], "vhat": [2, 3]}),
    "lion": (lion, {"m": [2, 3]}),
    "sgd": (lambda: sgd_dense(momentum=0.9), {"m": [2, 3]}),
    "adagrad of Keras": (tf_keras.optimizers.Adagrad, {"accumulator": [2, 3]}),
    "adafactor": (Adafactor, {"r": [2, 1], "c": [1, 3]}),
    "lookahead": (lambda: Lookahead(adam()), {"m": [2, 3], "v": [2, 3], "slow": [2, 3]}),
    "lookahead twice": (lambda: Lookahead(Lookahead(sgd_dense())), {"m": [2, 3], "slow": [2, 3], "slow_2": [2, 3]}),
    "regularized": (lambda: Regularized(Lookahead(adam())), {"m": [2, 3], "v": [2, 3], "slow": [2, 3]}),
}


@pytest.mark.parametrize("name", MADE)
def test_variables_of_one_name_have_each_its_own_state(name):
    make, expected = MADE[name]
    first, second = two_of_one_name()
    optimizer = make()

    found = build_and_record_states(optimizer, [first, second])

    of_first, of_second = found.values()
    assert {key: state.shape.as_list() for key, state in of_first.items()} == expected
    assert of_second.keys() == of_first.keys()
    noted = [id(state) for states in found.values() for state in states.values()]
    assert len(set(noted)) == len(noted)
    assert set(noted) == {id(state) for state in optimizer.variables if state.shape.rank > 0}


def test_optimizers_are_as_before_once_they_are_built():
    optimizer = Lookahead(adam())
    build_and_record_states(optimizer, two_of_one_name())
    assert not {"add_variable_from_reference"} & (vars(optimizer).keys() | vars(optimizer.base).keys())


def test_the_state_is_what_the_step_moves():
    weights = two_of_one_name()
    spec = [("tower", ["one"]), ("tower", ["other"])]
    router = Router({}, {"*": tf_keras.optimizers.SGD(0.1, momentum=0.9)}, spec)
    gradients = [tf.ones([2, 3]), 3 * tf.ones([4, 1])]

    @tf.function
    def step():
        router.apply_gradients(zip(gradients, weights, strict=True))

    step()  # builds the router inside a graph

    for weight, gradient in zip(weights, gradients, strict=True):
        [velocity] = router.state_of(weight).values()
        np.testing.assert_allclose(velocity, -0.1 * gradient, rtol=1e-6)


def test_layers_of_one_name_in_a_model_have_each_its_own_state():
    inputs = Inputs((Table("user", 10, 4),), (Field("user", "user", column=0),), (), ())
    model = CTRModel(inputs, DNN(hidden=[8, 6], activation="dice"))
    router = Router({"*": RMSPropV2()}, {"*": adam()}, model.logical_variables)
    router.build(model.trainable_variables)

    slopes = [variable for variable in model.trainable_variables if variable.name.endswith("dice/alpha:0")]

    assert [slope.shape.as_list() for slope in slopes] == [[8], [6]]
    assert slopes[0].name == slopes[1].name
    for variable, owned in zip(model.trainable_variables, router.owned(model.trainable_variables), strict=True):
        states = router.state_of(variable)
        assert {name: state.shape for name, state in states.items()} == dict.fromkeys(states, variable.shape)
        assert owned.state_bytes == 4 * len(states) * variable.shape.num_elements() > 0


def test_innermost_is_the_optimizer_inside_all_wrappers():
    inside = adam()
    assert innermost(inside) is inside
    assert innermost(Lookahead(Regularized(inside, l2_gradient=0.1))) is inside
