"""What compiled kernels are made of where numba's own means are slow: a product of small matrices, exp and tanh.

- Matrix products are built from tiles that hold their sums in registers. Written as loops they are half as fast,
  because the compiler cannot tell that sums may stay there.
- exp is a polynomial in float32: a call for each number could not be turned into vector instructions.

Arithmetic may be contracted (a·b + c in one rounding), but nothing assumes that numbers are finite: NaN stays NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

FLAGS = {"contract"}


def _tile(rows: int, add: bool) -> Any:
    """Make the instruction C[r : r + rows, j : j + width] = A[r : r + rows] · B[:, j : j + width], or += with ``add``.

    The width is 64 bytes. C and B have contiguous rows, A any strides; nothing is checked.
    """

    @intrinsic
    def tile(typing: Any, c: Any, a: Any, b: Any, row: Any, column: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            index, lane = ir.IntType(64), ir.IntType(32)
            number = context.get_value_type(c.dtype)
            vector = ir.VectorType(number, 512 // c.dtype.bitwidth)
            arrays = [context.make_array(kind)(context, builder, arguments[n]) for n, kind in enumerate((c, a, b))]
            shapes = [cgutils.unpack_tuple(builder, array.shape, 2) for array in arrays]
            strides = [cgutils.unpack_tuple(builder, array.strides, 2) for array in arrays]

            def address(which: int, i: Any, j: Any, kind: Any) -> Any:
                pointer = cgutils.get_item_pointer2(
                    context, builder, arrays[which].data, shapes[which], strides[which], "A", [i, j]
                )
                return builder.bitcast(pointer, kind.as_pointer())

            def load(pointer: Any) -> Any:
                return builder.load(pointer, align=c.dtype.bitwidth // 8)

            _, _, _, first, left = arguments
            at = [builder.add(first, index(r)) for r in range(rows)]
            nothing, zero = ir.Constant(vector, ir.Undefined), ir.Constant(vector, None)
            begin = [load(address(0, r, left, vector)) if add else zero for r in at]
            sums = [cgutils.alloca_once_value(builder, value) for value in begin]
            everywhere = ir.Constant(ir.VectorType(lane, vector.count), [0] * vector.count)
            with cgutils.for_range(builder, shapes[1][1]) as loop:
                right = load(address(2, loop.index, left, vector))
                for r, total in zip(at, sums, strict=True):
                    factor = builder.insert_element(nothing, load(address(1, r, loop.index, number)), lane(0))
                    factor = builder.shuffle_vector(factor, nothing, everywhere)
                    product = builder.fmul(factor, right, flags=("contract",))
                    builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
            for r, total in zip(at, sums, strict=True):
                builder.store(builder.load(total), address(0, r, left, vector), align=c.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(c, a, b, types.int64, types.int64), build

    return tile


# Sums of so many rows fit into the vector registers and are enough to keep the units busy that add to them.
_ROWS = 8 if binding.get_host_cpu_features().get("avx512f") else 4


def _product(add: bool) -> Any:
    many_rows, one_row = _tile(_ROWS, add), _tile(1, add)

    @njit(fastmath=FLAGS)
    def product(c: Any, a: Any, b: Any) -> None:
        rows, columns = c.shape
        width = 64 // c.itemsize
        whole = columns - columns % width
        for j in range(0, whole, width):
            for r in range(0, rows - _ROWS + 1, _ROWS):
                many_rows(c, a, b, r, j)
            for r in range(rows - rows % _ROWS, rows):
                one_row(c, a, b, r, j)
        if whole < columns:
            for r in range(rows):
                if not add:
                    c[r, whole:] = 0
                for k in range(a.shape[1]):
                    for j in range(whole, columns):
                        c[r, j] += a[r, k] * b[k, j]

    return product


#: C += A · B; C and B with contiguous rows, A with any strides.
add_product = _product(add=True)
#: C = A · B, likewise.
set_product = _product(add=False)


def _power(typing: Any, shifted: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(32)
        bits = builder.shl(builder.bitcast(arguments[0], integer), integer(23))
        return builder.bitcast(builder.add(bits, integer(127 << 23)), ir.FloatType())

    return types.float32(types.float32), build


#: 2^n of n + 1.5·2^23 in float32, where n stands in the lowest bits.
_two_to_the: Any = intrinsic(_power)


def exp(x: Any) -> Any:
    """E to the x; in float32 x is cut at ±87, so that the result is neither zero nor infinite."""
    raise TypeError("for compiled code only")


@overload(exp, jit_options={"fastmath": FLAGS})
def _compiled_exp(x: Any) -> Any:
    if x == types.float64:

        def exact(x: Any) -> Any:
            return math.exp(x)

        return exact

    def fast(x: Any) -> Any:
        one, limit = np.float32(1), np.float32(87)
        # Comparisons with NaN are false, and it passes.
        x = limit if x > limit else x
        x = -limit if x < -limit else x
        # x = n·ln 2 + r; adding 1.5·2^23 rounds to the integer n.
        magic = np.float32(12582912)
        shifted = x * np.float32(1.44269504) + magic
        n = shifted - magic
        r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
        p = np.float32(1.9875691500e-4) * r + np.float32(1.3981999507e-3)
        p = p * r + np.float32(8.3334519073e-3)
        p = p * r + np.float32(4.1665795894e-2)
        p = p * r + np.float32(1.6666665459e-1)
        p = p * r + np.float32(5.0000001201e-1)
        return (p * r * r + r + one) * _two_to_the(shifted)

    return fast


@njit(fastmath=FLAGS, error_model="numpy")
def make_tanh(z: Any) -> None:
    """Replace the numbers of a vector by their hyperbolic tangents."""
    one, two = z.dtype.type(1), z.dtype.type(2)
    for j in range(z.size):
        z[j] = two / (one + exp(-two * z[j])) - one


@njit(fastmath=FLAGS, error_model="numpy")
def make_sigmoid(z: Any) -> None:
    """Replace the numbers of a vector by 1 / (1 + e^−z)."""
    one = z.dtype.type(1)
    for j in range(z.size):
        z[j] = one / (one + exp(-z[j]))


@njit
def copy(values: Any, out: Any) -> None:
    """Copy a vector."""
    for j in range(values.size):
        out[j] = values[j]


@njit
def lay(values: Any, out: Any, column: int) -> None:
    """Copy a matrix to where it begins at ``column`` of another."""
    for e in range(values.shape[0]):
        for j in range(values.shape[1]):
            out[e, column + j] = values[e, j]
