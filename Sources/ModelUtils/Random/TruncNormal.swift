import CKernels
import ModelCore

extension Tensor {
  /// torch's `trunc_normal_`, as torch 2.13 has it: normal numbers in [a, b] of the tensor's type.
  ///
  /// Where more than 0.3 of the distribution lies inside, all elements are drawn again as often as one is outside, and
  /// each takes the first number inside; else uniform numbers are accepted with the density's probability.
  /// - Throws: `ModelError` for a type that is not drawn, when the standard deviation is not positive, `a` is above
  ///   `b`, or no number is accepted within 100000 rounds.
  public mutating func truncNormal(
    mean: Double = 0, standardDeviation: Double = 1, from a: Double = -2, to b: Double = 2,
    using generator: inout TorchGenerator
  ) throws {
    let format = try TorchGenerator.drawnFormat(dtype)
    guard standardDeviation > 0 else {
      throw ModelError(.invalid, "the standard deviation \(standardDeviation) is not positive")
    }
    guard a <= b, !mean.isNaN else { throw ModelError(.invalid, "the range from \(a) to \(b) around \(mean) is empty") }
    func share(below x: Double) -> Double { (1 + CMath.erf(x / 2.0.squareRoot())) / 2 }
    let inside = share(below: (b - mean) / standardDeviation) - share(below: (a - mean) / standardDeviation)
    if inside > 0.3 {
      try redrawOutside(
        format, mean: mean, standardDeviation: standardDeviation, from: try rounded(a), to: try rounded(b),
        using: &generator)
    } else {
      try acceptUniform(
        format, mean: mean, standardDeviation: standardDeviation, from: a, to: b, using: &generator)
    }
  }

  private static let roundLimit = 100_000

  private mutating func redrawOutside(
    _ format: mk_float, mean: Double, standardDeviation: Double, from low: Double, to high: Double,
    using generator: inout TorchGenerator
  ) throws {
    let (dtype, count) = (dtype, count)
    try updateBytes { bytes in
      generator.fillNormal(bytes, dtype, format, mean: mean, standardDeviation: standardDeviation)
      guard mk_replace_outside(bytes.baseAddress, nil, count, format, low, high) > 0 else { return }
      let fresh = try AlignedMemory.allocate(bytes.count)
      defer { AlignedMemory.free(fresh.baseAddress) }
      for _ in 0..<Self.roundLimit {
        generator.fillNormal(fresh, dtype, format, mean: mean, standardDeviation: standardDeviation)
        if mk_replace_outside(bytes.baseAddress, fresh.baseAddress, count, format, low, high) == 0 { return }
      }
      throw ModelError(.invalid, "no normal number of mean \(mean) lies from \(low) to \(high)")
    }
  }

  private mutating func acceptUniform(
    _ format: mk_float, mean: Double, standardDeviation: Double, from a: Double, to b: Double,
    using generator: inout TorchGenerator
  ) throws {
    // Scalars take part in float32's precision unless the elements are doubles.
    func scalar(_ value: Double) -> Double { dtype == .float64 ? value : Double(Float(value)) }
    let mode = max(a, min(mean, b))
    let peak = -0.5 * ((mode - mean) / standardDeviation) * ((mode - mean) / standardDeviation)
    var result = [Double](repeating: 0, count: count)
    var pending = [Bool](repeating: true, count: count)
    for _ in 0..<Self.roundLimit {
      let candidates = try generator.uniform(shape, dtype: dtype, from: a, to: b).doubles()
      let chances = try generator.uniform(shape, dtype: dtype).doubles()
      var density = try rounded(candidates.map { $0 - scalar(mean) })
      density = try rounded(density.map { $0 / scalar(standardDeviation) })
      density = try rounded(density.map { $0 * $0 })
      density = try rounded(density.map { $0 * -0.5 })
      density = try rounded(density.map { $0 - scalar(peak) })
      let logarithms = try rounded(chances.map(CMath.log))
      for index in result.indices where pending[index] {
        result[index] = candidates[index]
        pending[index] = logarithms[index] > density[index]
      }
      if !pending.contains(true) {
        let values = result
        return try updateBytes { mk_convert($0.baseAddress, format, values, MK_FLOAT64, values.count) }
      }
    }
    throw ModelError(.invalid, "no normal number of mean \(mean) is accepted from \(a) to \(b)")
  }

  /// Values as this tensor's type holds them.
  private func rounded(_ values: [Double]) throws -> [Double] {
    try Tensor(.float64, [values.count]) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
      .converted(to: dtype).doubles()
  }

  private func rounded(_ value: Double) throws -> Double { try rounded([value])[0] }
}
