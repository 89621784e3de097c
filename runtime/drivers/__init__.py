"""Drivers of boards: one driver on three small ports, and what each board puts behind them."""
