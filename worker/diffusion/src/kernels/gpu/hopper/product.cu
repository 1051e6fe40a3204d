// Matrix products on Hopper's tensor cores: linear layers, and convolutions of channels-last pictures with no copy in between.
// Before this text stand TILE_N, BLOCKS, SIDE and the function `multiply` (product.rs).
//
// A block of threads makes 128 * BLOCKS rows (pixels) of TILE_N outputs. Rows go from memory to registers, weights through shared
// memory, in the order that pack.cu brings them into. Of a window, all pixels of 32 channels come before the next channels: but for
// the first they come from the nearest cache.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define STAGES 4
#define STAGE_BYTES (TILE_N * 64)
#define TAPS (SIDE * SIDE)
// Steps that rows are read ahead, where registers hold them: a window's mostly come from the nearest cache.
#define AHEAD (SIDE == 1 && (TILE_N < 160 || BLOCKS > 1) ? 2 : 1)

struct Shape {
  u32 height, width, inputs, outputs;  // of the picture that is read; channels
  u32 rows, columns, stride, before;   // of the result; steps of the window, and what of it hangs over
  u32 pixels, tiles, splits, biased;   // of all results; tiles of outputs; parts of the sum; whether there is a bias
  u32 pitch, unused[3];                // numbers from a pixel that is read to the next
};

__device__ __forceinline__ void copy(u32 to, const void *from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16 : 0));
}

// A tile of rows of 64 bytes, swizzled by 64 bytes: eight rows are 512 bytes.
__device__ __forceinline__ u64 descriptor(u32 address) {
  return (u64)((address & 0x3ffff) >> 4) | ((u64)1 << 16) | ((u64)(512 >> 4) << 32) | ((u64)2 << 62);
}

__device__ __forceinline__ u32 pair(float low, float high) {
  u32 both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}

__device__ __forceinline__ float widened(bf16 x) { return __uint_as_float((u32)x << 16); }

extern "C" __global__ void __launch_bounds__(256, 3 - BLOCKS)
product(const bf16 *__restrict__ x, const bf16 *__restrict__ weight, const bf16 *__restrict__ bias, bf16 *__restrict__ y,
        float *__restrict__ partial, const __grid_constant__ Shape s) {
  __shared__ __align__(1024) unsigned char memory[STAGES * STAGE_BYTES];
  const u32 base = (u32)__cvta_generic_to_shared(memory);
  const u32 thread = threadIdx.x, warp = thread >> 5, lane = thread & 31, chunk = thread & 3, line = thread >> 2;
  const u32 first_output = (blockIdx.x % s.tiles) * TILE_N;
  const u32 first_pixel = (blockIdx.x / s.tiles) * (128 * BLOCKS) + (warp >> 2) * (64 * BLOCKS) + (warp & 3) * 16 + (lane >> 2);

  // The rows of this thread: where each one's window begins, and which of its pixels are in the picture.
  const bf16 *window[2 * BLOCKS];
  u32 there[2 * BLOCKS];
#pragma unroll
  for (int i = 0; i < 2 * BLOCKS; i++) {
    const u32 pixel = first_pixel + (i >> 1) * 64 + (i & 1) * 8;
    there[i] = 0;
#if SIDE == 1
    there[i] = pixel < s.pixels;
    window[i] = x + (u64)(there[i] ? pixel : 0) * s.pitch + chunk * 8;
#else
    const u32 column = pixel % s.columns, row = pixel / s.columns % s.rows, batch = pixel / s.columns / s.rows;
    const int top = (int)(row * s.stride) - (int)s.before, left = (int)(column * s.stride) - (int)s.before;
    if (pixel < s.pixels)
      for (int tap = 0; tap < TAPS; tap++) {
        const int down = top + tap / SIDE, right = left + tap % SIDE;
        if (down >= 0 && down < (int)s.height && right >= 0 && right < (int)s.width) there[i] |= 1u << tap;
      }
    window[i] = x + (((long long)batch * s.height + top) * s.width + left) * s.pitch + chunk * 8;
#endif
  }
  const u32 length = s.inputs / 32 * TAPS;
  const u32 from = (u64)length * blockIdx.y / s.splits, to = (u64)length * (blockIdx.y + 1) / s.splits;

  uint4 a[AHEAD + 1][2 * BLOCKS];
  u32 tap = from % TAPS, channel = from / TAPS * 32;
  auto read = [&](uint4(&into)[2 * BLOCKS]) {
    const u64 offset = (u64)(tap / SIDE * s.width + tap % SIDE) * s.pitch + channel;
#pragma unroll
    for (int i = 0; i < 2 * BLOCKS; i++)
      into[i] = there[i] >> tap & 1 ? __ldg((const uint4 *)(window[i] + offset)) : make_uint4(0, 0, 0, 0);
    if (++tap == TAPS) tap = 0, channel += 32;
  };
  const bf16 *weights = weight + (u64)(first_output + line) * length * 32 + chunk * 8;
  const u32 slot = base + line * 64 + ((chunk ^ ((line >> 1) & 3)) << 4);
  auto fetch = [&](u32 step) {
#pragma unroll
    for (int i = 0; i < (TILE_N + 63) / 64; i++)
      if (TILE_N % 64 == 0 || line + 64 * i < TILE_N) {
        const bool in = first_output + line + 64 * i < s.outputs;
        copy(slot + step % STAGES * STAGE_BYTES + i * 4096, in ? weights + (u64)i * 64 * length * 32 + (u64)step * 32 : weight, in);
      }
  };

  float sum[BLOCKS][TILE_N / 2];
#pragma unroll
  for (int m = 0; m < BLOCKS; m++)
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) sum[m][i] = 0;

  for (u32 step = 0; step < 2; step++) {
    if (from + step < to) fetch(from + step);
    asm volatile("cp.async.commit_group;");
  }
#pragma unroll
  for (u32 step = 0; step < AHEAD; step++)
    if (from + step < to) read(a[step]);

  auto advance = [&](u32 step, uint4(&now)[2 * BLOCKS], uint4(&next)[2 * BLOCKS]) {
    asm volatile("cp.async.wait_group 1;");
    asm volatile("fence.proxy.async.shared::cta;");
    __syncthreads();
    if (step + 2 < to) fetch(step + 2);
    asm volatile("cp.async.commit_group;");
    const u64 b = descriptor(base + step % STAGES * STAGE_BYTES);
    asm volatile("wgmma.fence.sync.aligned;");
#pragma unroll
    for (int m = 0; m < BLOCKS; m++) {
      multiply(sum[m], now[2 * m].x, now[2 * m + 1].x, now[2 * m].y, now[2 * m + 1].y, b);
      multiply(sum[m], now[2 * m].z, now[2 * m + 1].z, now[2 * m].w, now[2 * m + 1].w, b + 2);
    }
    asm volatile("wgmma.commit_group.sync.aligned;");
    asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    if (step + AHEAD < to) read(next);
  };
  for (u32 step = from; step < to; step += AHEAD + 1) {
#pragma unroll
    for (u32 i = 0; i <= AHEAD; i++)
      if (step + i < to) advance(step + i, a[i], a[(i + AHEAD) % (AHEAD + 1)]);
  }
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");

#pragma unroll
  for (int m = 0; m < BLOCKS; m++)
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) asm volatile("" : "+f"(sum[m][i])::"memory");

  const u32 output = (lane & 3) * 2;
  if (s.splits > 1) {
#pragma unroll
    for (int m = 0; m < BLOCKS; m++)
#pragma unroll
      for (int j = 0; j < TILE_N / 8; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const u32 pixel = first_pixel + m * 64 + 8 * i, column = first_output + output + 8 * j;
          if (pixel < s.pixels && column < s.outputs)
            *(float2 *)(partial + ((u64)blockIdx.y * s.pixels + pixel) * s.outputs + column) = make_float2(sum[m][4 * j + 2 * i], sum[m][4 * j + 2 * i + 1]);
        }
    return;
  }

  // Through shared memory, so that rows are written in long runs: a row's chunks of eight numbers, turned by its number.
  asm volatile("cp.async.wait_all;");
  __syncthreads();
  const u32 group = warp >> 2;
  unsigned char *staged = memory + group * (TILE_N * 128);
#pragma unroll
  for (int m = 0; m < BLOCKS; m++) {
#pragma unroll
    for (int j = 0; j < TILE_N / 8; j++) {
      float low = 0, high = 0;
      const u32 column = first_output + output + 8 * j;
      if (s.biased && column < s.outputs) {
        const u32 shifts = *(const u32 *)(bias + column);
        low = widened((bf16)(shifts & 0xffff)), high = widened((bf16)(shifts >> 16));
      }
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const u32 row = (warp & 3) * 16 + (lane >> 2) + 8 * i;
        u32 chunk_at = j + (row & 7);
        if (chunk_at >= TILE_N / 8) chunk_at -= TILE_N / 8;
        *(u32 *)(staged + row * (TILE_N * 2) + chunk_at * 16 + output * 2) = pair(sum[m][4 * j + 2 * i] + low, sum[m][4 * j + 2 * i + 1] + high);
      }
    }
    asm volatile("bar.sync %0, 128;" ::"r"(group + 1) : "memory");
    const u32 first = (blockIdx.x / s.tiles) * (128 * BLOCKS) + group * (64 * BLOCKS) + m * 64;
#pragma unroll
    for (u32 at = thread & 127; at < 64 * (TILE_N / 8); at += 128) {
      const u32 row = at / (TILE_N / 8), column = at % (TILE_N / 8);
      u32 chunk_at = column + (row & 7);
      if (chunk_at >= TILE_N / 8) chunk_at -= TILE_N / 8;
      if (first + row < s.pixels && first_output + column * 8 < s.outputs)
        *(uint4 *)(y + (u64)(first + row) * s.outputs + first_output + column * 8) = *(const uint4 *)(staged + row * (TILE_N * 2) + chunk_at * 16);
    }
    if (m + 1 < BLOCKS) asm volatile("bar.sync %0, 128;" ::"r"(group + 1) : "memory");
  }
}

// The sum of the parts.
extern "C" __global__ void __launch_bounds__(256)
gather(const float *__restrict__ partial, const bf16 *__restrict__ bias, bf16 *__restrict__ y, const __grid_constant__ Shape s) {
  const u64 count = (u64)s.pixels * s.outputs, at = ((u64)blockIdx.x * 256 + threadIdx.x) * 4;
  if (at >= count) return;
  float4 sum = make_float4(0, 0, 0, 0);
  if (s.biased) {
    const bf16 *shift = bias + at % s.outputs;
    sum = make_float4(widened(shift[0]), widened(shift[1]), widened(shift[2]), widened(shift[3]));
  }
  for (u32 i = 0; i < s.splits; i++) {
    const float4 term = *(const float4 *)(partial + i * count + at);
    sum.x += term.x, sum.y += term.y, sum.z += term.z, sum.w += term.w;
  }
  *(uint2 *)(y + at) = make_uint2(pair(sum.x, sum.y), pair(sum.z, sum.w));
}
