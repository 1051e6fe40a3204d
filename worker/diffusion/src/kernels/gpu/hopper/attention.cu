// Attention with heads of 64 numbers on Hopper's tensor cores: forward, and the gradients. No matrix of scores is in memory.
//
// What a block of threads owns (64 queries or keys a warpgroup) is in registers, what it runs over in shared memory, in tiles of 64
// rows of 128 bytes, swizzled by 128: such a tile serves as it lies and turned.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define TILE_BYTES 8192
#define HIDDEN (-1e30f)

struct Layout {
  u32 batch, head, row, unused;
};

struct Shape {
  u32 queries, keys, heads, causal;
  float scale;  // of the scores
  u32 unused[3];
  Layout query, key, value, grad, result;
};

// d += a b for 64 rows and 64 columns; `turned`: rows of b's tile are what is summed over.
template <int turned>
__device__ __forceinline__ void multiply(float (&d)[32], u32 a0, u32 a1, u32 a2, u32 a3, u64 b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, "
      "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, 1, 1, 1, %37;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]),
        "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]),
        "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]),
        "+f"(d[30]), "+f"(d[31])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b), "n"(turned));
}

__device__ __forceinline__ void begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void end() {
  asm volatile("wgmma.commit_group.sync.aligned;");
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
}

__device__ __forceinline__ void settle(float (&d)[32]) {
#pragma unroll
  for (int i = 0; i < 32; i++) asm volatile("" : "+f"(d[i])::"memory");
}

__device__ __forceinline__ u64 descriptor(u32 address) {
  return (u64)((address & 0x3ffff) >> 4) | ((u64)(1024 >> 4) << 16) | ((u64)(1024 >> 4) << 32) | ((u64)1 << 62);
}

// d += own b^T: over the 64 numbers of a head.
__device__ __forceinline__ void against(float (&d)[32], const u32 (&own)[16], u32 tile) {
  const u64 b = descriptor(tile);
#pragma unroll
  for (int k = 0; k < 4; k++) multiply<0>(d, own[4 * k], own[4 * k + 1], own[4 * k + 2], own[4 * k + 3], b + 2 * k);
}

__device__ __forceinline__ u32 pair(float low, float high) {
  u32 both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}

__device__ __forceinline__ void narrowed(u32 (&to)[16], const float (&w)[32]) {
#pragma unroll
  for (int k = 0; k < 16; k++) to[k] = pair(w[2 * k], w[2 * k + 1]);
}

// d += w b: over the tile's rows.
__device__ __forceinline__ void along(float (&d)[32], const u32 (&w)[16], u32 tile) {
  const u64 b = descriptor(tile);
#pragma unroll
  for (int k = 0; k < 4; k++) multiply<1>(d, w[4 * k], w[4 * k + 1], w[4 * k + 2], w[4 * k + 3], b + 128 * k);
}

__device__ __forceinline__ float power(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Of this thread's two rows: over the four threads that have them.
__device__ __forceinline__ float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffff, x, 2));
}
__device__ __forceinline__ float quad_sum(float x) {
  x += __shfl_xor_sync(0xffffffff, x, 1);
  return x + __shfl_xor_sync(0xffffffff, x, 2);
}

__device__ __forceinline__ const bf16 *head_of(const bf16 *x, const Layout &l, u32 heads) {
  return x + (u64)(blockIdx.y / heads) * l.batch + (u64)(blockIdx.y % heads) * l.head;
}

// This thread's part of 64 rows, as the tensor cores want it.
__device__ __forceinline__ void own_rows(u32 (&to)[16], const bf16 *x, const Layout &l, u32 row, u32 rows) {
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const u32 *from = (const u32 *)(x + (u64)(row + 8 * i) * l.row + threadIdx.x % 4 * 2);
#pragma unroll
    for (int k = 0; k < 4; k++)
#pragma unroll
      for (int half = 0; half < 2; half++) to[4 * k + 2 * half + i] = row + 8 * i < rows ? from[8 * k + 4 * half] : 0;
  }
}

// 64 rows from `first` into a tile; rows beyond the last are zeros. By THREADS threads.
template <int THREADS>
__device__ __forceinline__ void fetch(u32 tile, const bf16 *x, const Layout &l, u32 first, u32 rows) {
#pragma unroll
  for (int i = 0; i < 512 / THREADS; i++) {
    const u32 row = threadIdx.x / 8 + i * (THREADS / 8), chunk = threadIdx.x % 8;
    const bool there = first + row < rows;
    const bf16 *from = there ? x + (u64)(first + row) * l.row + chunk * 8 : x;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(tile + row * 128 + ((chunk ^ (row & 7)) << 4)), "l"(from), "r"(there ? 16 : 0));
  }
}

__device__ __forceinline__ void write_rows(bf16 *x, const Layout &l, u32 row, u32 rows, const float (&d)[32], float first, float second) {
#pragma unroll
  for (int i = 0; i < 2; i++)
    if (row + 8 * i < rows) {
      u32 *to = (u32 *)(x + (u64)(row + 8 * i) * l.row + threadIdx.x % 4 * 2);
      const float share = i ? second : first;
#pragma unroll
      for (int j = 0; j < 8; j++) to[4 * j] = pair(d[4 * j + 2 * i] * share, d[4 * j + 2 * i + 1] * share);
    }
}

// Of e, to base 2.
#define LOG2E 1.4426950408889634f

// `sums`: of a row the logarithm of its sum (base 2), and with a gradient of the result its product with the result.
template <bool gradient>
__device__ __forceinline__ void forward(const bf16 *query, const bf16 *key, const bf16 *value, const bf16 *grad, bf16 *result, float *sums, const Shape &s) {
  __shared__ __align__(1024) unsigned char memory[6 * TILE_BYTES];
  const u32 base = (u32)__cvta_generic_to_shared(memory);
  const u32 row = blockIdx.x * 128 + (threadIdx.x >> 5) * 16 + (threadIdx.x & 31) / 4, column = threadIdx.x % 4 * 2;
  key = head_of(key, s.key, s.heads), value = head_of(value, s.value, s.heads);
  u32 own[16];
  own_rows(own, head_of(query, s.query, s.heads), s.query, row, s.queries);
  u32 tiles = (s.keys + 63) / 64;
  if (s.causal) tiles = min(tiles, blockIdx.x * 2 + 2);
  const float scale = s.scale * LOG2E;

  float sum[32], score[32], highest[2] = {HIDDEN, HIDDEN}, total[2] = {0, 0};
#pragma unroll
  for (int i = 0; i < 32; i++) sum[i] = 0;
  auto load = [&](u32 tile) {
    if (tile < tiles) {
      const u32 at = base + tile % 3 * (2 * TILE_BYTES);
      fetch<256>(at, key, s.key, tile * 64, s.keys);
      fetch<256>(at + TILE_BYTES, value, s.value, tile * 64, s.keys);
    }
    asm volatile("cp.async.commit_group;");
  };
  load(0), load(1);
  for (u32 tile = 0; tile < tiles; tile++) {
    asm volatile("cp.async.wait_group 1;");
    asm volatile("fence.proxy.async.shared::cta;");
    __syncthreads();
    load(tile + 2);
    const u32 at = base + tile % 3 * (2 * TILE_BYTES);
#pragma unroll
    for (int i = 0; i < 32; i++) score[i] = 0;
    begin();
    against(score, own, at);
    end();
    settle(score);
    const u32 first = tile * 64 + column;
    if (s.causal || tile * 64 + 64 > s.keys) {
#pragma unroll
      for (int i = 0; i < 32; i++) {
        const u32 at_key = first + i / 4 * 8 + (i & 1), at_query = row + (i & 2) * 4;
        if (at_key >= s.keys || (s.causal && at_key > at_query)) score[i] = HIDDEN;
      }
    }
    u32 weights[16];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float most = highest[h];
#pragma unroll
      for (int j = 0; j < 8; j++) most = fmaxf(most, fmaxf(score[4 * j + 2 * h], score[4 * j + 2 * h + 1]));
      most = quad_max(most);
      const float fade = power((highest[h] - most) * scale), shift = most * scale;
      highest[h] = most;
      float all = 0;
#pragma unroll
      for (int j = 0; j < 8; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const float w = power(score[4 * j + 2 * h + e] * scale - shift);
          score[4 * j + 2 * h + e] = w;
          all += w;
          sum[4 * j + 2 * h + e] *= fade;
        }
      total[h] = total[h] * fade + all;
    }
    narrowed(weights, score);
    begin();
    along(sum, weights, at + TILE_BYTES);
    end();
    settle(sum);
  }
  total[0] = quad_sum(total[0]), total[1] = quad_sum(total[1]);
  if (!gradient) {
    write_rows((bf16 *)head_of(result, s.result, s.heads), s.result, row, s.queries, sum, 1 / total[0], 1 / total[1]);
    return;
  }
  own_rows(own, head_of(grad, s.grad, s.heads), s.grad, row, s.queries);
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float product = 0;
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const u32 both = own[2 * j + h];
      product += sum[4 * j + 2 * h] * __uint_as_float(both << 16) + sum[4 * j + 2 * h + 1] * __uint_as_float(both & 0xffff0000);
    }
    product = quad_sum(product) / total[h];
    if (threadIdx.x % 4 == 0 && row + 8 * h < s.queries) {
      const u64 at = (u64)blockIdx.y * s.queries + row + 8 * h;
      sums[2 * at] = highest[h] * scale + log2f(total[h]);
      sums[2 * at + 1] = product;
    }
  }
}

extern "C" __global__ void __launch_bounds__(256, 2)
attend(const bf16 *query, const bf16 *key, const bf16 *value, bf16 *result, const __grid_constant__ Shape s) {
  forward<false>(query, key, value, nullptr, result, nullptr, s);
}

extern "C" __global__ void __launch_bounds__(256, 2)
attend_sums(const bf16 *query, const bf16 *key, const bf16 *value, const bf16 *grad, float *sums, const __grid_constant__ Shape s) {
  forward<true>(query, key, value, grad, nullptr, sums, s);
}

// 64 queries: over all keys.
extern "C" __global__ void __launch_bounds__(128, 3)
gradient_of_queries(const bf16 *query, const bf16 *key, const bf16 *value, const bf16 *grad, const float *sums, bf16 *result, const __grid_constant__ Shape s) {
  __shared__ __align__(1024) unsigned char memory[6 * TILE_BYTES];
  const u32 base = (u32)__cvta_generic_to_shared(memory);
  const u32 row = blockIdx.x * 64 + (threadIdx.x >> 5) * 16 + (threadIdx.x & 31) / 4, column = threadIdx.x % 4 * 2;
  key = head_of(key, s.key, s.heads), value = head_of(value, s.value, s.heads);
  u32 own[16], own_grad[16];
  own_rows(own, head_of(query, s.query, s.heads), s.query, row, s.queries);
  own_rows(own_grad, head_of(grad, s.grad, s.heads), s.grad, row, s.queries);
  float level[2], mean[2];
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const bool there = row + 8 * h < s.queries;
    const float *of_row = sums + 2 * ((u64)blockIdx.y * s.queries + row + 8 * h);
    level[h] = there ? of_row[0] : 1e30f;
    mean[h] = there ? of_row[1] : 0;
  }
  u32 tiles = (s.keys + 63) / 64;
  if (s.causal) tiles = min(tiles, blockIdx.x + 1);
  const float scale = s.scale * LOG2E;
  float sum[32], score[32], slope[32];
#pragma unroll
  for (int i = 0; i < 32; i++) sum[i] = 0;
  auto load = [&](u32 tile) {
    if (tile < tiles) {
      const u32 at = base + tile % 3 * (2 * TILE_BYTES);
      fetch<128>(at, key, s.key, tile * 64, s.keys);
      fetch<128>(at + TILE_BYTES, value, s.value, tile * 64, s.keys);
    }
    asm volatile("cp.async.commit_group;");
  };
  load(0), load(1);
  for (u32 tile = 0; tile < tiles; tile++) {
    asm volatile("cp.async.wait_group 1;");
    asm volatile("fence.proxy.async.shared::cta;");
    __syncthreads();
    load(tile + 2);
    const u32 at = base + tile % 3 * (2 * TILE_BYTES);
#pragma unroll
    for (int i = 0; i < 32; i++) score[i] = 0, slope[i] = 0;
    begin();
    against(score, own, at);
    against(slope, own_grad, at + TILE_BYTES);
    end();
    settle(score);
    settle(slope);
    const bool edge = s.causal || tile * 64 + 64 > s.keys;
#pragma unroll
    for (int i = 0; i < 32; i++) {
      const u32 h = i >> 1 & 1, at_key = tile * 64 + column + i / 4 * 8 + (i & 1);
      float w = power(score[i] * scale - level[h]);
      if (edge && (at_key >= s.keys || (s.causal && at_key > row + 8 * h))) w = 0;
      score[i] = w * (slope[i] - mean[h]) * s.scale;
    }
    u32 weights[16];
    narrowed(weights, score);
    begin();
    along(sum, weights, at);
    end();
    settle(sum);
  }
  write_rows((bf16 *)head_of(result, s.result, s.heads), s.result, row, s.queries, sum, 1, 1);
}

// 64 keys and their values: over all queries.
extern "C" __global__ void __launch_bounds__(128, 2)
gradient_of_keys(const bf16 *query, const bf16 *key, const bf16 *value, const bf16 *grad, const float *sums, bf16 *of_key, bf16 *of_value, const __grid_constant__ Shape s) {
  __shared__ __align__(1024) unsigned char memory[4 * TILE_BYTES];
  __shared__ float2 of_rows[2][64];
  const u32 base = (u32)__cvta_generic_to_shared(memory);
  const u32 row = blockIdx.x * 64 + (threadIdx.x >> 5) * 16 + (threadIdx.x & 31) / 4, column = threadIdx.x % 4 * 2;
  query = head_of(query, s.query, s.heads), grad = head_of(grad, s.grad, s.heads);
  u32 own[16], own_value[16];
  own_rows(own, head_of(key, s.key, s.heads), s.key, row, s.keys);
  own_rows(own_value, head_of(value, s.value, s.heads), s.value, row, s.keys);
  const u32 tiles = (s.queries + 63) / 64, start = s.causal ? min(blockIdx.x, tiles) : 0;
  const float scale = s.scale * LOG2E;
  float sum[32], sum_of_value[32], score[32], slope[32];
#pragma unroll
  for (int i = 0; i < 32; i++) sum[i] = 0, sum_of_value[i] = 0;
  auto load = [&](u32 tile) {
    if (tile < tiles) {
      const u32 at = base + (tile & 1) * (2 * TILE_BYTES);
      fetch<128>(at, query, s.query, tile * 64, s.queries);
      fetch<128>(at + TILE_BYTES, grad, s.grad, tile * 64, s.queries);
      if (threadIdx.x < 64) {
        const u32 at_query = tile * 64 + threadIdx.x;
        of_rows[tile & 1][threadIdx.x] = at_query < s.queries ? ((const float2 *)sums)[(u64)blockIdx.y * s.queries + at_query] : make_float2(1e30f, 0);
      }
    }
    asm volatile("cp.async.commit_group;");
  };
  load(start);
  for (u32 tile = start; tile < tiles; tile++) {
    asm volatile("cp.async.wait_group 0;");
    asm volatile("fence.proxy.async.shared::cta;");
    __syncthreads();
    load(tile + 1);
    const u32 at = base + (tile & 1) * (2 * TILE_BYTES);
#pragma unroll
    for (int i = 0; i < 32; i++) score[i] = 0, slope[i] = 0;
    begin();
    against(score, own, at);
    against(slope, own_value, at + TILE_BYTES);
    end();
    settle(score);
    settle(slope);
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const float2 of_row = of_rows[tile & 1][column + 8 * j + e];
        const u32 at_query = tile * 64 + column + 8 * j + e;
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const int i = 4 * j + 2 * h + e;
          float w = power(score[i] * scale - of_row.x);
          if (s.causal && row + 8 * h > at_query) w = 0;
          score[i] = w;
          slope[i] = w * (slope[i] - of_row.y) * s.scale;
        }
      }
    u32 weights[16], slopes[16];
    narrowed(weights, score);
    narrowed(slopes, slope);
    begin();
    along(sum_of_value, weights, at + TILE_BYTES);
    along(sum, slopes, at);
    end();
    settle(sum_of_value);
    settle(sum);
  }
  write_rows((bf16 *)head_of(of_key, s.result, s.heads), s.result, row, s.keys, sum, 1, 1);
  write_rows((bf16 *)head_of(of_value, s.result, s.heads), s.result, row, s.keys, sum_of_value, 1, 1);
}
