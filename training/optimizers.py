"""How networks take a step: AdamW (Loshchilov and Hutter, 2019), and Muon for convolutions (Jordan et al., 2024)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

WEIGHT_DECAY = 0.02
CLIPPED_TO = 5.0  # the norm of each gradient
KERNEL = 4  # dimensions, of a convolution


def adamw() -> keras.optimizers.Optimizer:
    """Return AdamW."""
    return keras.optimizers.AdamW(weight_decay=WEIGHT_DECAY)


class ConvolutionMuon(keras.optimizers.Muon):
    """Muon with a convolution's kernel taken as the matrix from all that it sees to all that it tells.

    Keras's own takes matrices alone, of dense layers; all else steps as in AdamW, and here the layer that gives the
    answers does as well.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != KERNEL or any(name in variable.path for name in self.exclude_layers)

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        ahead = ops.add(gradient, self.momentum * m)
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        step = self.zeropower_via_newtonschulz5(matrix, self.ns_steps)
        scale = self.rms_rate * math.sqrt(max(matrix.shape))  # each weight then moves about as far as in AdamW
        self.assign_sub(variable, ops.reshape(lr * scale * step, variable.shape))


def muon(*, answers: str, adam_share: float) -> keras.optimizers.Optimizer:
    """Return Muon.

    Args:
        answers: the name of the layer that gives the answers.
        adam_share: of the learning rate, for what steps as in AdamW.
    """
    return ConvolutionMuon(
        weight_decay=WEIGHT_DECAY,
        adam_weight_decay=WEIGHT_DECAY,
        adam_lr_ratio=adam_share,
        exclude_layers=[answers],
        clipnorm=CLIPPED_TO,
    )
