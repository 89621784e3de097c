"""What a program is built for, as the original's programs name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["BuildTarget"]


class BuildTarget(str):
    """The text of a target, ``ext_dev -device=vta -keys=vta,cpu -model=...``, and its parts.

    A program is data for one configuration, so a target chooses nothing: :func:`vta.build` accepts
    one, and ``with`` accepts one and changes nothing.

    Parameters
    ----------
    text : str
    host : object
        Kept as :attr:`host`; there is no host code.
    """

    __slots__ = ("host",)
    host: object

    def __new__(cls, text: str, host: object = None) -> BuildTarget:
        target = super().__new__(cls, text)
        target.host = host
        return target

    def _option(self, name: str) -> str:
        prefix = f"-{name}="
        found = [word[len(prefix) :] for word in self.split() if word.startswith(prefix)]
        return found[-1] if found else ""

    @property
    def kind(self) -> str:
        """The first word, ``ext_dev``."""
        return self.split(maxsplit=1)[0] if self else ""

    @property
    def keys(self) -> list[str]:
        """The words of ``-keys=``."""
        return [key for key in self._option("keys").split(",") if key]

    @property
    def device_name(self) -> str:
        """The value of ``-device=``."""
        return self._option("device")

    @property
    def model(self) -> str:
        """The value of ``-model=``."""
        return self._option("model")

    def __enter__(self) -> BuildTarget:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing was entered."""
