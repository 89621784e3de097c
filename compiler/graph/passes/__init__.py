"""The passes of graphs: graph -> graph, one job each, in a module each."""
