from typing import ClassVar

from tests.models.test_attentivechrome import FUSED
from tests.models.tester import ModelTester


class TestLSTM(ModelTester):
    name = "lstm"
    parameters = 2 * 128 * (5 + 32 + 2) + 65
    fused = FUSED
    steps = 250


class TestLSTMAttention(ModelTester):
    name = "lstm-attention"
    parameters = 2 * 128 * (5 + 32 + 2) + 64 + 65
    attention: ClassVar = {"bins": (4, 1, 100)}
    fused = FUSED


class TestLSTMAlpha(ModelTester):
    name = "lstm-alpha"
    parameters = 55_681 - 32
    attention: ClassVar = {"bins": (4, 5, 100)}
    fused = FUSED


class TestCNNAttention(ModelTester):
    name = "cnn-attention"
    parameters = 50 * 51 + 50 + 51
    attention: ClassVar = {"bins": (4, 1, 91)}


class TestCNNAlphaBeta(ModelTester):
    name = "cnn-alpha-beta"
    parameters = 5 * 64 * 11 + 5 * 64 + 2 * 64 * (64 + 16 + 2) + 32 + 33
    attention: ClassVar = {"bins": (4, 5, 91), "marks": (4, 5)}
    fused = FUSED
