// The register-blocked product of bytes, for an instruction set that the including file describes. It defines
//   HOI_TARGET, HOI_INLINE   as for gemm_tile.h,
//   Vec, Real                vectors of kLanes int32 and of kLanes floats,
//   kRows, kVectors          input rows and output vectors that are multiplied together,
//   kOffset                  0, or what turns inputs into signed bytes,
//   load_sums, store_sums, add, quad (4 bytes of an input in each lane), dot (sum + 4 products in each lane),
//   real (int32 -> float), load_reals, all, times, fma, between, nearest (float -> int32, ties to even),
//   load_bytes (bytes -> int32), store_bytes (int32 of 0..255 -> bytes),
// and where 16-bit products are wanted (HOI_WIDE): pair (2 shorts), pairs_of (bytes -> pairs of shorts), dot_pairs, widen.
// No guard: each including file gets its own copy, and no function of it is visible outside.

#include <algorithm>

#include "byte_kernels.h"

namespace hoi {
namespace {

#define HOI_UNROLL _Pragma("GCC unroll 32")

constexpr int kPanel = kVectors * kLanes;
static_assert(kRows <= kMostRows, "memory for each row");

struct ByteAhead {
  const char* at;
  std::int64_t step;
};

// The four bytes of one group, in order: `quad` puts them into every lane.
struct Bytes {
  static constexpr int kGroup = kByteGroup;
  static constexpr int kWeightBytes = kByteGroup * kLanes;
#ifdef HOI_WIDE
  static constexpr bool kAddsBlocks = true;
  static HOI_INLINE Vec multiply_block(Vec sum, const Vec* x, const std::int8_t* near, const std::int8_t* far) {
    return add_pairs(sum, add_shorts(products(x[0], load_weights(near)), products(x[1], load_weights(far))));
  }
#else
  static constexpr bool kAddsBlocks = false;
#endif
  using Input = std::uint8_t;
  static HOI_INLINE Vec input(const Input* p) { return quad(p); }
  static HOI_INLINE Vec weight(const std::int8_t* p) { return load_weights(p); }
  static HOI_INLINE Vec multiply(Vec sum, Vec x, Vec w) { return dot(sum, x, w); }
};

#ifdef HOI_WIDE
// Pairs of 16-bit integers: exact for any weights where pairs of bytes are added up in 16 bits.
struct Shorts {
  static constexpr int kGroup = 2;
  static constexpr bool kAddsBlocks = false;
  static constexpr int kWeightBytes = 2 * kLanes;
  using Input = std::int16_t;
  static HOI_INLINE Vec input(const Input* p) { return pair(p); }
  static HOI_INLINE Vec weight(const std::int8_t* p) { return pairs_of(p); }
  static HOI_INLINE Vec multiply(Vec sum, Vec x, Vec w) { return dot_pairs(sum, x, w); }
};
#endif

HOI_INLINE Vec rounded(const Rounding& how, Real scaled, const std::uint8_t* kept, int k) {
  const Vec byte = add(nearest(between(scaled, all(how.low), all(how.high))), whole(how.zero));
  if (!how.again) return byte;
  const Real own = real(byte);
  Real value;
  if (kept == nullptr) {
    value = fma(own, all(how.own_ratio), all(how.fixed));
  } else if (how.kept_first) {
    value = fma(real(load_bytes(kept + k)), all(how.kept_ratio), fma(own, all(how.own_ratio), all(how.fixed)));
  } else {
    value = fma(own, all(how.own_ratio), fma(real(load_bytes(kept + k)), all(how.kept_ratio), all(how.fixed)));
  }
  const float zero = static_cast<float>(how.again_zero);
  return add(nearest(between(value, all(-zero), all(255.0F - zero))), whole(how.again_zero));
}

HOI_INLINE void round_vector(const Rounding& how, int k, Vec sum, const std::uint8_t* kept, std::uint8_t* out) {
  store_bytes(out + k, rounded(how, times(real(sum), load_reals(how.multiplier + k)), kept, k));
}

HOI_INLINE const std::uint8_t* kept_row(const ByteGemm& job, std::int64_t row) {
  const Rounding& how = *job.rounding;
  if (how.kept == nullptr) return nullptr;
  return how.kept + (how.kept_row == nullptr ? row : how.kept_row[row]) * job.out_step;
}

// One group of channels.
template <class Kind, int R, int V>
HOI_INLINE void add_group(Vec (&sum)[R][V], const typename Kind::Input* const (&in)[R], int c, const std::int8_t* w) {
  Vec weight[V];
  HOI_UNROLL
  for (int v = 0; v < V; ++v) weight[v] = Kind::weight(w + v * Kind::kWeightBytes);
  HOI_UNROLL
  for (int r = 0; r < R; ++r) {
    const Vec x = Kind::input(in[r] + c);
    HOI_UNROLL
    for (int v = 0; v < V; ++v) sum[r][v] = Kind::multiply(sum[r][v], x, weight[v]);
  }
}

// Two groups whose products are added up in 16 bits: five instructions instead of six.
template <class Kind, int R, int V>
HOI_INLINE void add_block(Vec (&sum)[R][V], const typename Kind::Input* const (&in)[R], int c, const std::int8_t* w) {
  const std::int8_t* next = w + V * Kind::kWeightBytes;
  HOI_UNROLL
  for (int r = 0; r < R; ++r) {
    const Vec x[] = {Kind::input(in[r] + c), Kind::input(in[r] + c + Kind::kGroup)};
    // Registers have no room for eight weights: they are read anew for each row.
    asm volatile("" : : : "memory");
    HOI_UNROLL
    for (int v = 0; v < V; ++v) {
      sum[r][v] = Kind::multiply_block(sum[r][v], x, w + v * Kind::kWeightBytes, next + v * Kind::kWeightBytes);
    }
  }
}

template <class Kind, int R, int V>
HOI_TARGET void byte_tile(const ByteGemm& job, const std::int32_t* from, const std::int32_t* to, ByteAhead ahead) {
  using Input = typename Kind::Input;
  const Input* in[R];
  std::int64_t segment_step = job.segment_step;
  Vec sum[R][V];
  HOI_UNROLL
  for (int r = 0; r < R; ++r) {
    const std::int32_t* start = job.start != nullptr ? job.start : job.sums + std::int64_t{to[r]} * kPanel;
    HOI_UNROLL
    for (int v = 0; v < V; ++v) sum[r][v] = load_sums(start + v * kLanes);
    const std::uint8_t* row = job.in + from[r] * job.in_step;
    if constexpr (sizeof(Input) == 1) {
      in[r] = row;
    } else {
#ifdef HOI_WIDE
      std::int16_t* wide = job.widened + std::int64_t{r} * (std::int64_t{job.segments} * job.channels + kByteChunk);
      in[r] = wide;
      for (int s = 0; s < job.segments; ++s) widen(row + s * job.segment_step, wide + s * job.channels, job.channels);
      segment_step = job.channels;
#endif
    }
  }
  const std::int8_t* w = job.weights;
  for (int s = 0; s < job.segments; ++s) {
    if constexpr (kOffset != 0) {
      HOI_UNROLL
      for (int v = 0; v < V; ++v) {
        const Vec lost = load_sums(reinterpret_cast<const std::int32_t*>(w) + v * kLanes);
        HOI_UNROLL
        for (int r = 0; r < R; ++r) sum[r][v] = add(sum[r][v], lost);
      }
      w += V * kLanes * 4;
    }
    const std::uint8_t* fits = job.fits == nullptr ? nullptr : job.fits + s * (job.channels / kByteBlock);
    for (int c = 0; c < job.channels;) {
      __builtin_prefetch(ahead.at, 0, 2);
      __builtin_prefetch(ahead.at + ahead.step / 2, 0, 2);
      ahead.at += ahead.step;
      if constexpr (Kind::kAddsBlocks) {
        if (fits != nullptr && c % kByteBlock == 0 && fits[c / kByteBlock] != 0) {
          __builtin_prefetch(ahead.at, 0, 2);
          __builtin_prefetch(ahead.at + ahead.step / 2, 0, 2);
          ahead.at += ahead.step;
          add_block<Kind, R, V>(sum, in, c, w);
          w += 2 * V * Kind::kWeightBytes;
          c += kByteBlock;
          continue;
        }
      }
      add_group<Kind, R, V>(sum, in, c, w);
      w += V * Kind::kWeightBytes;
      c += Kind::kGroup;
    }
    HOI_UNROLL
    for (int r = 0; r < R; ++r) in[r] += segment_step;
  }
  HOI_UNROLL
  for (int r = 0; r < R; ++r) {
    const std::int64_t row = to[r];
    if (job.rounding == nullptr) {
      HOI_UNROLL
      for (int v = 0; v < V; ++v) store_sums(job.sums + row * kPanel + v * kLanes, sum[r][v]);
    } else {
      const std::uint8_t* kept = kept_row(job, row);
      HOI_UNROLL
      for (int v = 0; v < V; ++v) {
        round_vector(*job.rounding, v * kLanes, sum[r][v], kept, job.out + row * job.out_step);
      }
    }
  }
}

template <class Kind, int V>
HOI_TARGET void byte_tile_of(int rows, const ByteGemm& job, const std::int32_t* from, const std::int32_t* to,
                             ByteAhead ahead) {
  switch (rows) {
    case 1: return byte_tile<Kind, 1, V>(job, from, to, ahead);
    case 2: return byte_tile<Kind, 2, V>(job, from, to, ahead);
    case 3: return byte_tile<Kind, 3, V>(job, from, to, ahead);
    case 4: return byte_tile<Kind, 4, V>(job, from, to, ahead);
    case 5: return byte_tile<Kind, 5, V>(job, from, to, ahead);
    default: return byte_tile<Kind, kRows, V>(job, from, to, ahead);
  }
}

template <class Kind, int V>
HOI_TARGET void byte_gemm_of(const ByteGemm& job) {
  const int tiles = (job.count + kRows - 1) / kRows;
  const std::int64_t steps = std::int64_t{job.segments} * job.channels / Kind::kGroup;
  const std::int64_t bytes = steps * V * Kind::kWeightBytes;
  for (int i = 0, done = 0; i < tiles; ++i) {
    const int rows = (job.count - done) / (tiles - i);
    const char* next = reinterpret_cast<const char*>(job.weights) + bytes + i * (bytes / tiles);
    byte_tile_of<Kind, V>(rows, job, job.from + done, job.to + done, {next, bytes / tiles / steps});
    done += rows;
  }
}

template <class Kind>
HOI_TARGET void byte_gemm(const ByteGemm& job) {
  static_assert(kVectors <= 4, "a case for each number of vectors");
  switch (job.width / kLanes) {
    case 1: return byte_gemm_of<Kind, 1>(job);
    case 2: return byte_gemm_of<Kind, (kVectors < 2 ? kVectors : 2)>(job);
    case 3: return byte_gemm_of<Kind, (kVectors < 3 ? kVectors : 3)>(job);
    default: return byte_gemm_of<Kind, kVectors>(job);
  }
}

HOI_TARGET void round_rows(const ByteGemm& job, int begin, int end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const std::uint8_t* kept = kept_row(job, i);
    for (int k = 0; k < job.width; k += kLanes) {
      round_vector(*job.rounding, k, load_sums(job.sums + i * kPanel + k), kept, job.out + i * job.out_step);
    }
  }
}

HOI_TARGET void mix(const ByteMix& job, const Rounding& how) {
  for (int k = 0; k < job.width; k += kLanes) {
    Real sum = all(job.start);
    for (int i = 0; i < job.count; ++i) {
      sum = fma(real(load_bytes(job.in + job.row[i] * job.in_step + k)), all(job.weight[i]), sum);
    }
    store_bytes(job.out + k, rounded(how, times(sum, all(*how.multiplier)), nullptr, k));
  }
}

template <class Kind>
HOI_TARGET double byte_multiply_adds(std::int64_t rounds) {
  constexpr int kSums = kRows * kVectors;
  alignas(64) std::int8_t ones[kLanes * kByteGroup];
  alignas(64) typename Kind::Input twos[kByteGroup];
  std::fill(std::begin(ones), std::end(ones), std::int8_t{1});
  std::fill(std::begin(twos), std::end(twos), typename Kind::Input{2});
  const Vec weight = Kind::weight(ones);
  const Vec input = Kind::input(twos);
  Vec sum[kSums];
  HOI_UNROLL
  for (int i = 0; i < kSums; ++i) sum[i] = whole(i);
  for (std::int64_t r = 0; r < rounds; ++r) {
    HOI_UNROLL
    for (int i = 0; i < kSums; ++i) {
      sum[i] = Kind::multiply(sum[i], input, weight);
      // The compiler must not compute the products once and only add them.
      asm volatile("" : "+" HOI_REGISTER(sum[i]));
    }
  }
  std::int32_t seen[kLanes];
  double total = 0.0;
  HOI_UNROLL
  for (int i = 0; i < kSums; ++i) {
    store_sums(seen, sum[i]);
    total += seen[0];
  }
  return static_cast<double>(rounds) * kSums * kLanes * Kind::kGroup + (total < -1.0 ? 1.0 : 0.0);
}

}  // namespace
}  // namespace hoi
