"""Augmentation: changes every training digit a little in every epoch, as real handwriting varies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from digits.pictures.canonical import SIDE

_MIDDLE = (SIDE - 1) / 2
_CONTROL_POINTS = 8  # of the elastic field, along each side


@dataclass(frozen=True)
class Augmentation:
    """The most that digits are changed; the amounts are drawn separately for each digit.

    Attributes:
        shift_pixels: moved, down and across.
        turn_degrees: turned, either way.
        scale_share: enlarged or reduced, height and width separately.
        shear_share: slanted: columns moved by up to this share of their distance from the middle.
        elastic_pixels: standard deviation of the control points of a smooth random field (after
            Simard et al., 2003) that moves every pixel.
        stroke_share: strokes drawn thicker or thinner, by up to this share of a pixel on each side.
    """

    shift_pixels: float = 0.0
    turn_degrees: float = 0.0
    scale_share: float = 0.0
    shear_share: float = 0.0
    elastic_pixels: float = 0.0
    stroke_share: float = 0.0


def augment(images: tf.Tensor, amounts: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Return the digits moved, turned, scaled, slanted, bent and drawn with another pen.

    The same seed gives the same digits: no other random numbers of the process matter.

    Args:
        images: float32 (batch, 28, 28), 0..255, 0 for the background.
        seed: int32 (2,).

    Returns:
        float32 (batch, 28, 28), 0..255.
    """
    count = tf.shape(images)[0]
    turn, rows, columns, slant, down, across, pen = tf.unstack(
        tf.random.stateless_uniform([7, count], seed, minval=-1.0, maxval=1.0)
    )
    angle = turn * (amounts.turn_degrees * math.pi / 180)
    cosine, sine, slant = tf.cos(angle), tf.sin(angle), slant * amounts.shear_share
    height, width = 1 + rows * amounts.scale_share, 1 + columns * amounts.scale_share
    # Where in the input each output pixel comes from, measured from the middle: turned(slanted(scaled)).
    from_row = [cosine / height, (cosine * slant - sine) / width, down * amounts.shift_pixels]
    from_column = [sine / height, (sine * slant + cosine) / width, across * amounts.shift_pixels]
    places = tf.stack([tf.stack(from_row, axis=1), tf.stack(from_column, axis=1)], axis=1) @ _GRID
    if amounts.elastic_pixels:
        control = tf.random.stateless_normal([2 * count, _CONTROL_POINTS**2], seed + 1, stddev=amounts.elastic_pixels)
        places += tf.reshape(control @ _SPLINES, [count, 2, SIDE * SIDE])
    moved = _sample(images, places + _MIDDLE)
    return _redraw(moved, pen[:, None, None] * amounts.stroke_share) if amounts.stroke_share else moved


def _sample(images: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Read images between their pixels, bilinearly; places are float32 (batch, 2, 784), row and column."""
    count, side = tf.shape(images)[0], SIDE + 2
    places = tf.clip_by_value(places, -1.0, SIDE - 1e-3)  # outside there is only a dark rim of one pixel
    corner = tf.floor(places)
    down, across = tf.unstack(places - corner, axis=1)
    row, column = tf.unstack(tf.cast(corner, tf.int32) + 1, axis=1)
    index = row * side + column + tf.range(count)[:, None] * side**2
    pixels = tf.reshape(tf.pad(images, [[0, 0], [1, 1], [1, 1]]), [-1])
    above_left, above_right = tf.gather(pixels, index), tf.gather(pixels, index + 1)
    below_left, below_right = tf.gather(pixels, index + side), tf.gather(pixels, index + side + 1)
    above = above_left + (above_right - above_left) * across
    below = below_left + (below_right - below_left) * across
    return tf.reshape(above + (below - above) * down, [count, SIDE, SIDE])


def _redraw(images: tf.Tensor, pen: tf.Tensor) -> tf.Tensor:
    """Thicken strokes where pen is above zero, thin them where it is below."""
    thicker, thinner = _spread(images), -_spread(-images)
    return images + tf.where(pen > 0, pen * (thicker - images), pen * (images - thinner))


def _spread(images: tf.Tensor) -> tf.Tensor:
    """Return the largest of each pixel and its neighbours to the right, below, and between."""
    padded = tf.pad(images, [[0, 0], [0, 1], [0, 1]], "SYMMETRIC")
    tall = tf.maximum(padded[:, 1:], padded[:, :-1])
    return tf.maximum(tall[:, :, 1:], tall[:, :, :-1])


def _grid() -> np.ndarray:
    """Return the pixels' row, column, and 1: float32 (3, 784), measured from the middle."""
    rows, columns = np.indices((SIDE, SIDE), np.float32).reshape(2, -1) - np.float32(_MIDDLE)
    return np.stack([rows, columns, np.ones_like(rows)])


def _splines() -> np.ndarray:
    """Return how much each control point moves each pixel, by cubic B-splines: float32 (64, 784)."""
    knots = np.linspace(0, _CONTROL_POINTS - 3, SIDE)[:, None] - np.arange(_CONTROL_POINTS) + 1
    away = np.abs(knots)
    near, far = 2 / 3 - away**2 + away**3 / 2, (2 - away) ** 3 / 6
    basis = np.where(away < 1, near, np.where(away < 2, far, 0))
    return np.einsum("ip,jq->pqij", basis, basis).reshape(_CONTROL_POINTS**2, -1).astype(np.float32)


_GRID, _SPLINES = _grid(), _splines()
