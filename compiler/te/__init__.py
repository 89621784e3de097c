"""Tensor expressions: scalar types, expressions, tensors, and the operators of topi."""
