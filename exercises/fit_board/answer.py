"""A machine for the board. Change the keys, then: make exercise EXERCISE=fit_board"""

KEYS = {
    "log_block": 4,  # tiles of 16 x 16
    "log_uop_buff_size": 15,  # each of the four memories: log2 of its bytes
    "log_inp_buff_size": 15,
    "log_wgt_buff_size": 18,
    "log_acc_buff_size": 17,
}
