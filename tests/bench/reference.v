// What the speed of the simulated machine is compared with: never to be changed, or the history of
// speeds breaks. 64 multiply-accumulate units that are fed by a linear feedback shift register.
module reference(input clk, output reg [31:0] sum);
  reg [31:0] noise = 32'h1;
  reg [31:0] sums [0:63];
  integer i;
  always @(posedge clk) begin
    noise <= {noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]};
    for (i = 0; i < 64; i = i + 1)
      sums[i] <= sums[i] + $signed({1'b0, noise[7:0]}) * $signed({1'b0, noise[31:24] ^ i[7:0]});
    sum <= sums[noise[5:0]];
  end
endmodule
