"""Networks as graphs: the IR, its operators, its passes, and the way from a graph to a network
file."""
