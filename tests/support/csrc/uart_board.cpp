#include "uart_board.h"

#include <deque>
#include <memory>

#include "Vvta_top.h"
#include "pins.h"  // written for the board: CLOCK, BUTTON, RX, TX, LEDS(top)
#include "verilated.h"

double sc_time_stamp() { return 0; }

struct UartBoard {
    explicit UartBoard(uint32_t clocks_per_bit) : bit_(clocks_per_bit), top_(&context_) {
        top_.RX = 1;
        top_.BUTTON = BUTTON_UP;
        top_.eval();
    }

    void cycle() {
        drive();
        top_.CLOCK = 0;
        top_.eval();
        top_.CLOCK = 1;
        top_.eval();
        sample();
    }

    std::deque<uint16_t> to_board;  // ten symbols each, the first in bit 0
    std::deque<uint8_t> from_board;
    uint64_t damaged = 0;

    void press(bool down) { top_.BUTTON = down ? !BUTTON_UP : BUTTON_UP; }
    uint32_t leds() const { return LEDS(top_); }

private:
    // The host's transmitter.
    void drive() {
        if (to_board.empty()) return;
        top_.RX = to_board.front() >> sent_bits_ & 1;
        if (++sent_clocks_ < bit_) return;
        sent_clocks_ = 0;
        if (++sent_bits_ < 10) return;
        sent_bits_ = 0;
        to_board.pop_front();
    }

    // The host's receiver: begins at a falling edge, looks at the middle of each symbol.
    void sample() {
        if (!receiving_) {
            if (top_.TX) return;
            receiving_ = true;
            clocks_ = bit_ / 2;
            bits_ = 0;
            word_ = 0;
        }
        if (clocks_-- != 0) return;
        clocks_ = bit_ - 1;
        word_ |= static_cast<uint16_t>(top_.TX) << bits_;
        if (++bits_ < 10) return;
        receiving_ = false;
        if (word_ >> 9 && !(word_ & 1)) {
            from_board.push_back(static_cast<uint8_t>(word_ >> 1));
        } else {
            ++damaged;
        }
    }

    const uint32_t bit_;
    VerilatedContext context_;
    Vvta_top top_;
    uint32_t sent_clocks_ = 0, sent_bits_ = 0;
    bool receiving_ = false;
    uint32_t clocks_ = 0, bits_ = 0;
    uint16_t word_ = 0;
};

UartBoard* uart_board_new(uint32_t clocks_per_bit) { return new UartBoard(clocks_per_bit); }
void uart_board_delete(UartBoard* board) { delete board; }

void uart_board_send(UartBoard* board, const uint8_t* bytes, size_t count) {
    for (size_t i = 0; i < count; ++i) board->to_board.push_back(0x200 | bytes[i] << 1);
}

void uart_board_send_broken(UartBoard* board, uint8_t byte) {
    board->to_board.push_back(byte << 1);
    board->to_board.push_back(0x3FF);
}

uint64_t uart_board_run(UartBoard* board, uint64_t cycles, size_t wanted) {
    uint64_t ran = 0;
    for (; ran < cycles && board->from_board.size() < wanted; ++ran) board->cycle();
    return ran;
}

size_t uart_board_receive(UartBoard* board, uint8_t* bytes, size_t count) {
    size_t taken = 0;
    for (; taken < count && !board->from_board.empty(); ++taken) {
        bytes[taken] = board->from_board.front();
        board->from_board.pop_front();
    }
    return taken;
}

size_t uart_board_waiting(const UartBoard* board) { return board->from_board.size(); }
uint64_t uart_board_damaged(const UartBoard* board) { return board->damaged; }
void uart_board_press(UartBoard* board, int down) { board->press(down != 0); }
uint32_t uart_board_leds(const UartBoard* board) { return board->leds(); }
