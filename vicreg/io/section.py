"""Sections: what a part of params.yaml may hold, by type and range. Each member of a family declares its own."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_INT = 1_000_000_000  # more than any study counts, and less than where torch stops counting

Probability = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=MAX_INT)]
# Folders, files and runs are called by it, so nothing in it may lead elsewhere or look like an option.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$", max_length=100)]
PathOrUrl = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """Frozen; unknown keys, values of another type and numbers that are not finite are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
