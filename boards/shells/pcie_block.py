"""The ports of the PCIe hard block: Vivado's IP ``pcie4_uscale_plus`` with 128 bits and MSI.

Source: PG213, UltraScale+ Devices Integrated Block for PCI Express, "Port Descriptions". Outputs
that nothing here reads are left out.
"""

from vta.boards.shells.pcie_streams import CC_USER, CQ_USER, DATA_BITS, DWORDS, RC_USER, RQ_USER

__all__ = ["HARD_BLOCK", "LANES", "READY_COPIES", "TIED", "black_box"]

HARD_BLOCK = "pcie4_uscale_plus_0"
"""Module name of the IP."""
LANES = 4

TIED = {
    "pcie_cq_np_req": (0b11, 2),  # requests of the host that need an answer are always taken
    "cfg_power_state_change_ack": (1, 1),
    "cfg_link_training_enable": (1, 1),
    "cfg_config_space_enable": (1, 1),
    "cfg_mgmt_addr": (0, 10),
    "cfg_mgmt_function_number": (0, 8),
    "cfg_mgmt_write": (0, 1),
    "cfg_mgmt_write_data": (0, 32),
    "cfg_mgmt_byte_enable": (0, 4),
    "cfg_mgmt_read": (0, 1),
    "cfg_mgmt_debug_access": (0, 1),
    "cfg_msg_transmit": (0, 1),
    "cfg_msg_transmit_type": (0, 3),
    "cfg_msg_transmit_data": (0, 32),
    "cfg_fc_sel": (0, 3),
    "cfg_dsn": (0, 64),
    "cfg_err_cor_in": (0, 1),
    "cfg_err_uncor_in": (0, 1),
    "cfg_flr_done": (0, 4),
    "cfg_vf_flr_func_num": (0, 8),
    "cfg_vf_flr_done": (0, 1),
    "cfg_interrupt_int": (0, 4),
    "cfg_interrupt_pending": (0, 4),
    "cfg_interrupt_msi_select": (0, 2),
    "cfg_interrupt_msi_int": (0, 32),
    "cfg_interrupt_msi_pending_status": (0, 32),
    "cfg_interrupt_msi_pending_status_data_enable": (0, 1),
    "cfg_interrupt_msi_pending_status_function_num": (0, 2),
    "cfg_interrupt_msi_attr": (0, 3),
    "cfg_interrupt_msi_tph_present": (0, 1),
    "cfg_interrupt_msi_tph_type": (0, 2),
    "cfg_interrupt_msi_tph_st_tag": (0, 8),
    "cfg_interrupt_msi_function_number": (0, 8),
    "cfg_pm_aspm_l1_entry_reject": (0, 1),
    "cfg_pm_aspm_tx_l0s_entry_disable": (0, 1),
    "cfg_req_pm_transition_l23_ready": (0, 1),
    "cfg_hot_reset_in": (0, 1),
    "cfg_ds_port_number": (0, 8),
    "cfg_ds_bus_number": (0, 8),
    "cfg_ds_device_number": (0, 5),
}
"""Inputs that have a constant: value, bits."""

_USED = {
    "input": {
        "sys_clk": 1, "sys_clk_gt": 1, "sys_reset": 1, "pci_exp_rxp": LANES, "pci_exp_rxn": LANES,
    },
    "output": {
        "user_clk": 1, "user_reset": 1, "user_lnk_up": 1, "pci_exp_txp": LANES,
        "pci_exp_txn": LANES, "pcie_rq_seq_num0": 6, "pcie_rq_seq_num_vld0": 1,
    },
}  # fmt: skip
_STREAMS = {
    "m_axis_cq": CQ_USER, "m_axis_rc": RC_USER, "s_axis_cc": CC_USER, "s_axis_rq": RQ_USER,
}  # fmt: skip
READY_COPIES = 4
"""Of the ready of a stream to the hard block."""


def _ports() -> dict[str, tuple[str, int]]:
    """Name to direction and bits."""
    ports = {name: (way, bits) for way, group in _USED.items() for name, bits in group.items()}
    ports |= {name: ("input", bits) for name, (_, bits) in TIED.items()}
    for prefix, user in _STREAMS.items():
        given, taken = ("output", "input") if prefix[0] == "m" else ("input", "output")
        for name, bits in (
            ("tdata", DATA_BITS), ("tkeep", DWORDS), ("tlast", 1), ("tuser", user.size),
            ("tvalid", 1),
        ):  # fmt: skip
            ports[f"{prefix}_{name}"] = given, bits
        ports[f"{prefix}_tready"] = taken, READY_COPIES if prefix[0] == "s" else 1
    return ports


def black_box() -> str:
    """Verilog of the IP's ports, for tools without the IP."""
    ports = _ports()
    lines = [f"(* blackbox, keep *)\nmodule {HARD_BLOCK} ({', '.join(sorted(ports))});"]
    lines += [f"  {way} [{bits - 1}:0] {name};" for name, (way, bits) in sorted(ports.items())]
    return "\n".join([*lines, "endmodule\n"])
