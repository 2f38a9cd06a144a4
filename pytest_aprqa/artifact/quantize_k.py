"""Encoders for Q4_K and Q6_K.

Both search, for every sub-block, the scale (and minimum) of least weighted squared error over a few
candidates and solve for the best one in closed form, as ggml's reference encoder does
(`ggml-quants.c`, make_qkx2_quants and make_qx_quants), with fewer candidates.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

BLOCK = 256
_CHUNK_BLOCKS = 256
_Q4_K_STEPS = np.linspace(-1.0, 1.0, 9, dtype=np.float32)
_Q6_K_STEPS = np.linspace(-0.9, 0.9, 7, dtype=np.float32)
"""How far from the full range of quants the candidates lie, in quants."""


def encode_q4_k(blocks: Floats) -> Bytes:
    """Encode rows of 256 values as Q4_K, 144 bytes each."""
    return _in_chunks(blocks, 144, _q4_k)


def encode_q6_k(blocks: Floats) -> Bytes:
    """Encode rows of 256 values as Q6_K, 210 bytes each."""
    return _in_chunks(blocks, 210, _q6_k)


def _in_chunks(blocks: Floats, nbytes: int, encoder: Callable[[Floats, Bytes], None]) -> Bytes:
    encoded = np.zeros((len(blocks), nbytes), np.uint8)
    # A value that is not finite spoils the scale, and so is seen again when the data is checked.
    with np.errstate(all="ignore"):
        for start in range(0, len(blocks), _CHUNK_BLOCKS):
            chunk = slice(start, start + _CHUNK_BLOCKS)
            encoder(blocks[chunk], encoded[chunk])
    return encoded.reshape(-1)


def _dot(a: Floats, b: Floats) -> Floats:
    product: Floats = np.einsum("...i,...i->...", a, b)
    return product


def _safe_ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide, with 0 where the denominator is 0."""
    return np.where(denominator == 0, np.float32(0), numerator / denominator).astype(np.float32)


def _q4_k(blocks: Floats, encoded: Bytes) -> None:
    groups = blocks.reshape(-1, 8, 32)
    scales, minima = _scales_and_minima(groups)
    d = (scales.max(axis=1) / 63).astype(np.float16)
    dmin = (minima.max(axis=1) / 63).astype(np.float16)
    scale_codes, factors = _six_bits(scales, d)
    minimum_codes, offsets = _six_bits(minima, dmin)
    exact = _safe_ratio(groups + offsets[..., None], factors[..., None])
    quants = np.clip(np.rint(exact), 0, 15).astype(np.uint8)
    pairs = quants.reshape(-1, 4, 2, 32)
    encoded[:, 0:2] = d[:, None].view(np.uint8)
    encoded[:, 2:4] = dmin[:, None].view(np.uint8)
    encoded[:, 4:16] = _packed_scales(scale_codes, minimum_codes)
    encoded[:, 16:] = (pairs[:, :, 0] | (pairs[:, :, 1] << 4)).reshape(-1, 128)


def _scales_and_minima(groups: Floats) -> tuple[Floats, Floats]:
    """Return for each sub-block the scale and the minimum m >= 0 of x = scale * q - m."""
    weights = np.abs(groups)
    weights += np.sqrt(_dot(groups, groups) / 32)[..., None]
    weighted = weights * groups
    low = np.minimum(groups.min(axis=-1), 0)
    span = groups.max(axis=-1) - low
    w, wx = weights.sum(axis=-1), weighted.sum(axis=-1)
    above = groups - low[..., None]
    best_scale, best_low = span / 15, low
    best_error = np.full_like(low, np.inf)
    for step in _Q4_K_STEPS:
        quants = np.rint(above * _safe_ratio(np.full_like(span, 15 + step), span)[..., None])
        np.clip(quants, 0, 15, out=quants)
        weighted_quants = weights * quants
        wq, wqq = weighted_quants.sum(axis=-1), _dot(weighted_quants, quants)
        wxq = _dot(weighted, quants)
        determinant = w * wqq - wq * wq
        scale = _safe_ratio(w * wxq - wx * wq, determinant)
        base = _safe_ratio(wqq * wx - wq * wxq, determinant)
        positive = base > 0
        scale = np.where(positive, _safe_ratio(wxq, wqq), scale)
        base = np.where(positive, np.float32(0), base)
        # The squared error without its constant term, the weighted sum of squares of x.
        error = scale * (scale * wqq + 2 * base * wq - 2 * wxq) + base * (base * w - 2 * wx)
        better = (error < best_error) & (determinant > 0)
        np.copyto(best_error, error, where=better)
        np.copyto(best_scale, scale, where=better)
        np.copyto(best_low, base, where=better)
    return best_scale, -best_low


def _six_bits(values: Floats, unit: npt.NDArray[np.float16]) -> tuple[Bytes, Floats]:
    """Return values as multiples of the stored unit of their block, as codes and decoded."""
    stored = unit.astype(np.float32)[:, None]
    codes = np.clip(np.rint(_safe_ratio(values, stored)), 0, 63).astype(np.uint8)
    return codes, stored * codes


def _packed_scales(scales: Bytes, minima: Bytes) -> Bytes:
    """Pack eight scales and eight minima of 6 bits into the 12 bytes of a Q4_K block."""
    low = scales[:, :4] | ((scales[:, 4:] >> 4) << 6)
    middle = minima[:, :4] | ((minima[:, 4:] >> 4) << 6)
    high = (scales[:, 4:] & 15) | ((minima[:, 4:] & 15) << 4)
    return np.concatenate([low, middle, high], axis=1)


def _q6_k(blocks: Floats, encoded: Bytes) -> None:
    groups = blocks.reshape(-1, 16, 16)
    scales = _symmetric_scales(groups)
    widest = np.take_along_axis(scales, np.abs(scales).argmax(axis=1)[:, None], axis=1)
    d = (widest / -128).astype(np.float16)
    stored = d.astype(np.float32)
    codes = np.clip(np.rint(_safe_ratio(scales, stored)), -128, 127).astype(np.int8)
    factors = stored * codes
    exact = _safe_ratio(groups, factors[..., None])
    quants = (np.clip(np.rint(exact), -32, 31) + 32).astype(np.uint8)
    quarters = quants.reshape(-1, 2, 4, 32)
    low, high = quarters & 15, quarters >> 4
    encoded[:, :128] = (low[:, :, :2] | (low[:, :, 2:] << 4)).reshape(-1, 128)
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    encoded[:, 128:192] = np.bitwise_or.reduce(high << shifts, axis=2).reshape(-1, 64)
    encoded[:, 192:208] = codes.view(np.uint8)
    encoded[:, 208:] = d.view(np.uint8)


def _symmetric_scales(groups: Floats) -> Floats:
    """Return for each sub-block the scale of x = scale * q with q in -32..31; weights are x**2."""
    extreme = np.take_along_axis(groups, np.abs(groups).argmax(axis=-1)[..., None], axis=-1)
    weighted = groups * groups
    cubes = weighted * groups
    # Stands when the sums below overflow or vanish; then it carries what is not finite on.
    best_scale = extreme[..., 0] / np.float32(-32)
    best_gain = np.zeros_like(best_scale)
    for step in _Q6_K_STEPS:
        inverse = _safe_ratio(np.full_like(extreme, -32 - step), extreme)
        quants = np.clip(np.rint(groups * inverse), -32, 31)
        xq, qq = _dot(cubes, quants), _dot(weighted * quants, quants)
        gain = _safe_ratio(xq * xq, qq)
        better = gain > best_gain
        np.copyto(best_gain, gain, where=better)
        np.copyto(best_scale, _safe_ratio(xq, qq), where=better)
    return best_scale
