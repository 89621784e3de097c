// A board simulated through its pins: clock, button, LEDs, and a serial line with a queue of bytes
// on each side of it. One cycle is one period of the clock pin.
#pragma once
#include <cstddef>
#include <cstdint>

struct UartBoard;

extern "C" {
UartBoard* uart_board_new(uint32_t clocks_per_bit);
void uart_board_delete(UartBoard*);

// Bytes to the board; they go out one after the other, as the clock runs.
void uart_board_send(UartBoard*, const uint8_t* bytes, size_t count);
// A byte whose stop bit is low, then the line is high for a bit.
void uart_board_send_broken(UartBoard*, uint8_t byte);

// Run until `wanted` bytes of the board's wait, or for so many cycles; returns the cycles run.
uint64_t uart_board_run(UartBoard*, uint64_t cycles, size_t wanted);
// Take up to `count` bytes of the board's; returns how many.
size_t uart_board_receive(UartBoard*, uint8_t* bytes, size_t count);
size_t uart_board_waiting(const UartBoard*);
// Bytes of the board's whose stop bit was low.
uint64_t uart_board_damaged(const UartBoard*);

void uart_board_press(UartBoard*, int down);  // the reset button
uint32_t uart_board_leds(const UartBoard*);  // bit 0: the first
}
