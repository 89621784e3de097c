"""The compiler: from tensor expressions and schedules to the instruction stream of the machine.

The rooms, in the order that a program passes through them:

- ``te``: tensor expressions and the operators of topi
- ``schedule``: stages and schedule primitives
- ``lower``: from a schedule to a loop nest
- ``tir``: the intermediate representation of loop nests, its printer, and index arithmetic
- ``passes``: loop nest to loop nest, one file each; ``driver`` runs them in order
- ``analysis``: analyses that passes share
- ``codegen``: from the last loop nest to instructions, micro-ops and relocations

Above them are ``ops`` (layers of networks), ``graph`` (networks) and ``frontend`` (ONNX).
"""
