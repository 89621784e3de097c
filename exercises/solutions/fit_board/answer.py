"""A machine of 8 x 8 tiles with 86 block RAMs.

A tile of 8 x 8 is the largest that has multipliers: 16 x 16 needs 308. A memory of fewer than 512
words takes as many block RAMs as one of 512, the words of the widest block RAM. Weights are exactly
that deep; micro-ops and accumulators have room to grow for nothing. With 4 KiB of inputs a block of
the second layer is too small to hide its loads; a doubling costs two block RAMs.
"""

KEYS = {
    "log_block": 3,
    "log_uop_buff_size": 13,
    "log_inp_buff_size": 13,
    "log_wgt_buff_size": 15,
    "log_acc_buff_size": 15,
}
