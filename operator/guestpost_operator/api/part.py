"""What the typed objects of the API have in common: camelCase names, unknown fields ignored, frozen."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class Part(BaseModel):
    """An object of the API, or a part of one, as the operator reads it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


def problems(error: ValidationError) -> str:
    """Which fields are wrong and why, without what is in them."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )
