"""The AXI4 memory master: bursts, read master and write master."""
