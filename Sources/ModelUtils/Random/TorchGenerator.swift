import CKernels
import ModelCore

/// PyTorch's CPU generator, bit for bit: the Mersenne Twister MT19937 with torch's ways of making numbers of its draws.
///
/// A tensor is filled in row-major order. What torch draws differently for a tensor that is not contiguous is not
/// imitated.
public struct TorchGenerator: Sendable, Equatable {
  /// What the generator was seeded with (`torch.initial_seed()`).
  public let seed: UInt64
  var twister: MersenneTwister
  /// Nothing was drawn since seeding: torch's saved state tells that apart.
  var isFresh = true
  /// The second of a pair of normal numbers, kept for the next draw.
  var nextNormal: Double?
  /// Kept for a saved state alone: nothing on a CPU draws it.
  var nextFloatNormal: Float?

  /// As `torch.manual_seed`: only the low 32 bits count.
  public init(seed: UInt64) {
    self.seed = seed
    twister = MersenneTwister(seed: UInt32(truncatingIfNeeded: seed))
  }

  init(seed: UInt64, twister: MersenneTwister) {
    (self.seed, self.twister) = (seed, twister)
  }

  /// The next 32 random bits.
  public mutating func next32() -> UInt32 {
    isFresh = false
    return twister.next32()
  }

  /// `torch.rand` in float32: a multiple of 2^-24 in [0, 1).
  public mutating func uniformFloat32() -> Float {
    Float(next32() & 0xff_ffff) * 0x1p-24
  }

  /// `torch.rand` in float64: a multiple of 2^-53 in [0, 1), from two draws.
  public mutating func uniformFloat64() -> Double {
    isFresh = false
    return Double(twister.next64() & (1 << 53 - 1)) * 0x1p-53
  }

  /// `torch.randn` of one number in float64, by Box and Muller's method: cosine first, the sine is kept for the next
  /// call.
  public mutating func normalFloat64() -> Double {
    if let kept = nextNormal {
      nextNormal = nil
      return kept
    }
    let (first, second) = (uniformFloat64(), uniformFloat64())
    let radius = (-2 * CMath.log1p(-second)).squareRoot()
    let angle = 2 * Double.pi * first
    nextNormal = radius * CMath.sin(angle)
    return radius * CMath.cos(angle)
  }

  /// Lets a loop of the kernels draw.
  mutating func draw(_ body: (UnsafeMutablePointer<mk_twister>) -> Void) {
    guard isFresh else { return twister.draw(body) }
    let before = twister
    twister.draw(body)
    isFresh = twister == before
  }
}
