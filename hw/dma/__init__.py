"""DMA: loads and stores, 2D transfers between DRAM and the on-chip memories."""
