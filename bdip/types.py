"""Shorthand for the array types that cross module borders."""

from typing import Any

from jaxtyping import Array, Float, Key, PyTree

Params = PyTree[Float[Array, "..."], "P"]
# An image has the grid H W, a signal L, a volume D H W.
Latent = Float[Array, "*grid C"]
Image = Float[Array, "*grid C"]
Data = Float[Array, "*grid C"]
PRNGKey = Key[Array, ""]
Scalar = Float[Array, ""]
Tree = Any
