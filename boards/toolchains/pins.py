"""The check that every port of a design has its pin, whatever language the constraints are in."""

import re
from collections import Counter
from collections.abc import Mapping, Set

from vta.boards.toolchains.toolchain import TOP, CheckError, Design

__all__ = ["check_pins", "port_bits", "require_pins", "require_port"]


def port_bits(design: Design) -> set[str]:
    """The name of every bit of every port of the top module: ``led``, ``data[3]``."""
    return {
        name if width == 1 else f"{name}[{bit}]"
        for name, width in design.ports.items()
        for bit in range(width)
    }


def require_port(design: Design, port: str, file: str) -> None:
    """Refuse a constraint of a port that does not exist.

    Raises
    ------
    CheckError
        Naming the file, the port, and the ports that there are.
    """
    bits = port_bits(design)
    if port not in bits:
        ports = ", ".join(sorted(bits))
        raise CheckError(f"{file}: {port} is no port of {TOP}; there are {ports}")


def require_pins(design: Design, file: str, pins: Mapping[str, str], standards: Set[str]) -> None:
    """Refuse constraints that leave a bit of a port without a pin of its own or an I/O standard.

    Parameters
    ----------
    design : Design
    file : str
        The constraints' file name, for the message.
    pins : mapping of str to str
        The pin of each bit.
    standards : set of str
        The bits that have an I/O standard.

    Raises
    ------
    CheckError
        Naming the first bit that lacks one, or a pin that two bits have.
    """
    bits = port_bits(design)
    for wanted, given in (("pin", set(pins)), ("I/O standard", standards)):
        if bits - given:
            raise CheckError(f"{file}: {min(bits - given)} has no {wanted}")
    shared = [pin for pin, number in Counter(pins.values()).items() if number > 1]
    if shared:
        raise CheckError(f"{file}: two ports are at {shared[0]}")


def check_pins(design: Design, file: str, place: re.Pattern[str], standard: re.Pattern[str]) -> str:
    """Check that a constraints file gives every bit of every port a pin of its own and an I/O
    standard; returns what was found, for people.

    Parameters
    ----------
    design : Design
    file : str
        The name of the constraints file in the design's project.
    place, standard : re.Pattern
        Match the constraints; the groups are the port and its pin, the port and its standard.

    Raises
    ------
    CheckError
        As :func:`require_port` and :func:`require_pins`.
    """
    text = design.files[file]
    pins, standards = dict(place.findall(text)), dict(standard.findall(text))
    for port in (*pins, *standards):
        require_port(design, port, file)
    require_pins(design, file, pins, standards.keys())
    return f"{len(port_bits(design))} ports, each with a pin and an I/O standard"
