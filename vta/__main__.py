"""``python -m vta``: the ``vta`` command of this interpreter."""

from vta.cli import main

main(prog_name="vta")
