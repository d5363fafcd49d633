"""CIFAR's pickles, read without running code: only dictionaries, lists, text, numbers and arrays of bytes.

A pickle can call any function it names. Here it can name nothing but what rebuilds a numpy array of uint8, and gets
stand-ins for that. Against a file that is made to take much time, only the checksum of the official archives helps.
"""

import io
import pickle
import reprlib
from typing import Any

import numpy as np

from vicreg.data.images import reason


def read_pickle(data: bytes, where: str) -> dict[str, Any]:
    """Return the dictionary in a CIFAR pickle, its keys as text; `where` names the file in errors."""
    try:
        record = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
        return {as_text(key): getattr(value, "array", value) for key, value in record.items()}
    except Exception as error:  # a hostile pickle can raise anything
        raise ValueError(f"{where} is not a CIFAR pickle ({reason(error)}); unpack or fetch it again") from None


def as_text(value: Any) -> str:
    """Return text as it is, and of all else its type: to write out lists of lists of lists could take for ever."""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else f"<{type(value).__name__}>"


class _ArraysOnly(pickle._Unpickler):  # in Python: a few bytes of a pickle can make that in C take all memory
    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _Array
        if module == "numpy" and name in ("dtype", "ndarray"):
            return _ByteType if name == "dtype" else "ndarray"  # which is only ever an argument, so a word will do
        raise pickle.UnpicklingError(f"it asks for {reprlib.repr(f'{module}.{name}')}, which no CIFAR file needs")


class _ByteType:
    """Stands in for the type `uint8`; any other is refused."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"its array is of type {reprlib.repr(code)}, not of bytes")

    def __setstate__(self, _: Any) -> None:
        """Ignore byte order and the like: a byte has none."""


class _Array:
    """Stands in for an array of bytes, until its state brings shape and content."""

    array: np.ndarray

    def __init__(self, *_: Any) -> None:
        """Ignore what numpy passes here: always an empty array."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, content = state
        if not isinstance(kind, _ByteType):
            raise pickle.UnpicklingError("its array is not one of bytes")
        self.array = np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_column else "C")
