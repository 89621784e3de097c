// An SDRAM of 256 Mbit, 16 data pins, 4 banks of 8,192 rows of 512 words, as JEDEC's standard and the
// data sheets describe it; CAS latency 2, bursts of one word. What no real chip promises to survive
// (commands before the mode is set, access to a closed row, a row opened over another one, a refresh
// over an open row, refreshes too rare) breaks it: it says so, forgets writes, and reads 16'hDEAD.

module sdram #(
    parameter REFRESH = 1250,  // cycles between two refreshes at most
    parameter REFRESH_TIME = 3, PRECHARGE_TIME = 1, ROW_TIME = 1  // cycles before the next command
) (
    input clk, cke, cs_n, ras_n, cas_n, we_n,
    input [1:0] ba, dqm,
    input [12:0] a,
    inout [15:0] dq
);
  reg [15:0] words[0:(1 << 24) - 1];
  reg [12:0] row[0:3];
  reg [3:0] open = 0;
  reg ready = 0, broken = 0;
  reg [31:0] since_refresh = 0;
  reg [7:0] busy = 0;        // cycles until the chip takes a command
  reg [7:0] opening[0:3];    // cycles until a bank's row is open

  // The output two edges after READ, the mask of the edge two before it.
  reg [15:0] read_word, out_word;
  reg reading = 0, driving = 0;
  reg [1:0] mask_1 = 0, mask_2 = 0;
  assign dq[7:0] = driving && !mask_2[0] ? out_word[7:0] : 8'bz;
  assign dq[15:8] = driving && !mask_2[1] ? out_word[15:8] : 8'bz;

  wire [3:0] command = {cs_n, ras_n, cas_n, we_n};
  wire [23:0] place = {ba, row[ba], a[8:0]};

  task fault(input [8*40-1:0] what);
    begin
      if (!broken) $display("SDRAM: %0s", what);
      broken <= 1;
    end
  endtask

  integer bank;
  always @(posedge clk) begin
    reading <= 0;
    driving <= reading;
    out_word <= read_word;
    mask_1 <= dqm;
    mask_2 <= mask_1;
    since_refresh <= since_refresh + 1;
    if (busy != 0) busy <= busy - 1;
    for (bank = 0; bank < 4; bank = bank + 1)
      if (opening[bank] != 0) opening[bank] <= opening[bank] - 1;
    if (ready && since_refresh > REFRESH) fault("refreshes too rare");
    if (cke && !cs_n && command != 4'b0111) begin
      if (busy != 0) fault("a command too early");
      if (command[3:1] == 3'b010 && (!ready || !open[ba] || opening[ba] != 0))
        fault("access to a row that is not open");
      case (command)
        4'b0000: begin
          if (open != 0 || a != 13'h020) fault("a mode that the model does not have");
          ready <= 1;
        end
        4'b0001: begin
          if (open != 0) fault("a refresh over an open row");
          since_refresh <= 0;
          busy <= REFRESH_TIME - 1;
        end
        4'b0010: begin
          if (a[10]) open <= 0;
          else open[ba] <= 0;
          busy <= PRECHARGE_TIME - 1;
        end
        4'b0011: begin
          if (!ready || open[ba]) fault("a row opened over another one");
          row[ba] <= a;
          open[ba] <= 1;
          opening[ba] <= ROW_TIME - 1;
        end
        4'b0100: begin
          if (!dqm[0] && !broken) words[place][7:0] <= dq[7:0];
          if (!dqm[1] && !broken) words[place][15:8] <= dq[15:8];
          if (a[10]) open[ba] <= 0;
        end
        4'b0101: begin
          reading <= 1;
          read_word <= broken ? 16'hDEAD : words[place];
          if (a[10]) open[ba] <= 0;
        end
        default: fault("a command that the model does not have");
      endcase
    end
  end
endmodule

// The board: the design and the chip at its pins.
module ulx3s_sdram (
    input clk25_0__io, button_fire_0__io, uart_0__rx__io,
    output uart_0__tx__io, led_0__io, led_1__io, led_2__io, led_3__io
);
  wire clk, cke, cs_n, ras_n, cas_n, we_n;
  wire [1:0] ba, dqm;
  wire [12:0] a;
  wire [15:0] dq;
  wire esp32;
  sdram chip (.*);
  vta_top top (
      .clk25_0__io, .button_fire_0__io, .uart_0__rx__io, .uart_0__tx__io,
      .led_0__io, .led_1__io, .led_2__io, .led_3__io, .esp32_0__gpio0__io(esp32),
      .sdram_0__clk__io(clk), .sdram_0__clk_en__io(cke), .sdram_0__cs__io(cs_n),
      .sdram_0__ras__io(ras_n), .sdram_0__cas__io(cas_n), .sdram_0__we__io(we_n),
      .sdram_0__ba__io(ba), .sdram_0__a__io(a), .sdram_0__dq__io(dq), .sdram_0__dqm__io(dqm)
  );
endmodule
