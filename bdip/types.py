"""Shorthand for the array types that cross module borders."""

from typing import Any

from jaxtyping import Array, Float, Key, PyTree

Params = PyTree[Float[Array, "..."], "P"]
Latent = Float[Array, "H W C"]
Image = Float[Array, "H W C"]
Data = Float[Array, "h w C"]
PRNGKey = Key[Array, ""]
Scalar = Float[Array, ""]
Tree = Any
