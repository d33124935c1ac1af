"""CTR models: fused embedding tables, towers that compute a logit, and a registry of towers by config name."""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # tensorflow-recommenders does not support Keras 3

import tensorflow as tf
import tf_keras

if tf.keras.Model is not tf_keras.Model:
    raise ImportError(
        "models: this process already uses Keras 3, which tensorflow-recommenders does not support. Set "
        "TF_USE_LEGACY_KERAS=1 before any use of tf.keras, or import `models` first."
    )

from models.auc import AUC
from models.auto_int import AutoInt
from models.batch_loss import BatchLoss, batch_mean
from models.blocks import MLP, BatchNorm, Dropout, batch_norm_layer
from models.can import CAN
from models.compressed_dot import CompressedDot
from models.cost import ComponentCost, cost_of
from models.ctr_model import CTRModel
from models.dcn import DCN
from models.dcn_mix import DCNMix
from models.dcn_v2 import DCNV2
from models.deepfm import DeepFM
from models.din import DIN
from models.dlrm import DLRM
from models.dnn import DNN
from models.fcn import FCN
from models.final_mlp import FinalMLP
from models.final_net import FinalNet
from models.fm import FM
from models.gdcn import GDCN
from models.inputs import Behaviors, Category, Field, Inputs, SequenceInput, Table
from models.linear import Linear
from models.qnn import QNN
from models.recording import Recorded, recorded
from models.seeds import PathInitializer, seed_of
from models.streams import with_streams
from models.tables import EmbeddingTables, fuse
from models.tower import Tower, TowerOutput
from models.two_stream import Stream, TwoStream
from models.wide_deep import WideDeep

MODELS: dict[str, type[Tower]] = {
    "dnn": DNN,
    "linear": Linear,
    "wide_deep": WideDeep,
    "fm": FM,
    "deepfm": DeepFM,
    "dcn": DCN,
    "dcn_v2": DCNV2,
    "dcn_mix": DCNMix,
    "gdcn": GDCN,
    "compressed_dot": CompressedDot,
    "auto_int": AutoInt,
    "dlrm": DLRM,
    "final_mlp": FinalMLP,
    "final_net": FinalNet,
    "fcn": FCN,
    "qnn": QNN,
    "din": DIN,
    "can": CAN,
    "two_stream": TwoStream,
}
"""Config name -> tower. The constructor's arguments are the config's keys."""

__all__ = [
    "AUC",
    "CAN",
    "DCN",
    "DCNV2",
    "DIN",
    "DLRM",
    "DNN",
    "FCN",
    "FM",
    "GDCN",
    "MLP",
    "MODELS",
    "QNN",
    "AutoInt",
    "BatchLoss",
    "BatchNorm",
    "Behaviors",
    "CTRModel",
    "Category",
    "ComponentCost",
    "CompressedDot",
    "DCNMix",
    "DeepFM",
    "Dropout",
    "EmbeddingTables",
    "Field",
    "FinalMLP",
    "FinalNet",
    "Inputs",
    "Linear",
    "PathInitializer",
    "Recorded",
    "SequenceInput",
    "Stream",
    "Table",
    "Tower",
    "TowerOutput",
    "TwoStream",
    "WideDeep",
    "batch_mean",
    "batch_norm_layer",
    "cost_of",
    "fuse",
    "recorded",
    "seed_of",
    "with_streams",
]
