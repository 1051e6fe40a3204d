// Weights in the order that product.cu reads them in: for each output, of 32 inputs at a time all taps; of the 32, those that one
// thread's registers have after one read stand where the tensor cores look for them.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct Shape {
  u32 inputs, outputs, taps, unused;  // of the result
};

// The input that stands at `place` of the 32, and the other way about.
__device__ __forceinline__ u32 input_at(u32 place) {
  const u32 within = place & 7;
  return (within >> 1) * 8 + (place >> 4) * 4 + (place >> 3 & 1) * 2 + (within & 1);
}
__device__ __forceinline__ u32 place_of(u32 input) {
  const u32 within = input & 7;
  return (within >> 2) * 16 + (within >> 1 & 1) * 8 + (input >> 3) * 2 + (within & 1);
}

// From [outputs, taps, inputs].
extern "C" __global__ void __launch_bounds__(256)
from_rows(const bf16 *__restrict__ from, bf16 *__restrict__ to, const __grid_constant__ Shape s) {
  const u64 at = ((u64)blockIdx.x * 256 + threadIdx.x) * 8, row = (u64)s.inputs * s.taps;
  if (at >= row * s.outputs) return;
  const u32 rest = at % row, output = at / row, place = rest % 32, tap = rest / 32 % s.taps, chunk = rest / 32 / s.taps;
  const bf16 *block = from + ((u64)output * s.taps + tap) * s.inputs + chunk * 32;
  const u32 first = place >> 4 << 2 | (place >> 3 & 1) << 1;
  uint4 group;
  group.x = *(const u32 *)(block + first), group.y = *(const u32 *)(block + first + 8);
  group.z = *(const u32 *)(block + first + 16), group.w = *(const u32 *)(block + first + 24);
  *(uint4 *)(to + at) = group;
}

// 32 inputs and 32 outputs of a tap, through shared memory. `there(i, o)` is the place of an input of an output in `from`.
template <typename Place>
__device__ __forceinline__ void turn(const bf16 *from, bf16 *to, const Shape &s, u32 tap, Place there) {
  __shared__ bf16 tile[32][34];
  const u32 outputs = blockIdx.x * 32, chunk = blockIdx.y, lane = threadIdx.x & 31, line = threadIdx.x >> 5;
  for (u32 i = line; i < 32; i += 8)
    if (outputs + lane < s.outputs) tile[i][lane] = from[there(chunk * 32 + i, outputs + lane)];
  __syncthreads();
  for (u32 o = line; o < 32; o += 8)
    if (outputs + o < s.outputs)
      to[(u64)(outputs + o) * s.inputs * s.taps + ((u64)chunk * s.taps + tap) * 32 + lane] = tile[input_at(lane)][o];
}

// From [inputs, outputs], one tap.
extern "C" __global__ void __launch_bounds__(256)
from_columns(const bf16 *__restrict__ from, bf16 *__restrict__ to, const __grid_constant__ Shape s) {
  turn(from, to, s, 0, [&](u32 input, u32 output) { return (u64)input * s.outputs + output; });
}

// From packed weights to those of the gradient: inputs and outputs change places, and the window is turned by half.
extern "C" __global__ void __launch_bounds__(256)
for_gradient(const bf16 *__restrict__ from, bf16 *__restrict__ to, const __grid_constant__ Shape s) {
  const u32 tap = blockIdx.z;
  turn(from, to, s, tap, [&](u32 input, u32 output) {
    return (((u64)input * (s.outputs / 32) + output / 32) * s.taps + (s.taps - 1 - tap)) * 32 + place_of(output % 32);
  });
}
