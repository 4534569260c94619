import CKernels
import ModelCore

/// Which side of a weight `kaimingUniform` and `kaimingNormal` keep the variance of.
public enum FanMode: String, Sendable, Hashable, Codable, CaseIterable {
  /// Of what goes forward.
  case fanIn = "fan_in"
  /// Of what goes back.
  case fanOut = "fan_out"
}

/// What follows a layer, for the gain of its initial weights.
public enum Nonlinearity: String, Sendable, Hashable, Codable, CaseIterable {
  /// A linear layer or convolution: a gain of 1.
  case linear, conv1d, conv2d, conv3d
  /// A transposed convolution: a gain of 1.
  case convTranspose1d = "conv_transpose1d"
  /// A transposed convolution: a gain of 1.
  case convTranspose2d = "conv_transpose2d"
  /// A transposed convolution: a gain of 1.
  case convTranspose3d = "conv_transpose3d"
  /// Gains of 1, 5/3 and √2.
  case sigmoid, tanh, relu
  /// A gain of √(2 / (1 + slope²)).
  case leakyReLU = "leaky_relu"
  /// A gain of 3/4.
  case selu
}

/// torch's `calculate_gain`.
/// - Parameter parameter: the negative slope of `leakyReLU`, 0.01 when nil.
public func calculateGain(_ nonlinearity: Nonlinearity, _ parameter: Double? = nil) -> Double {
  switch nonlinearity {
  case .tanh: return 5.0 / 3
  case .relu: return 2.0.squareRoot()
  case .leakyReLU:
    let slope = parameter ?? 0.01
    return (2 / (1 + slope * slope)).squareRoot()
  case .selu: return 3.0 / 4
  default: return 1
  }
}

/// torch's `_calculate_fan_in_and_fan_out`: how many inputs one output has, and the reverse, of a weight [out, in,
/// kernel…].
/// - Throws: `ModelError` for fewer than 2 axes.
public func calculateFanInAndFanOut(_ shape: [Int]) throws -> (fanIn: Int, fanOut: Int) {
  guard shape.count >= 2 else {
    throw ModelError(.mismatch, "a tensor of shape \(shape) has no fan: at least 2 axes are needed")
  }
  let field = Tensor.elementCount(Array(shape[2...]))
  guard let field, let fanIn = Tensor.elementCount([shape[1], field]),
    let fanOut = Tensor.elementCount([shape[0], field])
  else { throw ModelError(.mismatch, "the fan of a tensor of shape \(shape) overflows") }
  return (fanIn, fanOut)
}

/// `torch.nn.init`. Each fills the tensor, whose type is float64, float32, float16 or bfloat16, and throws `ModelError`
/// for another. Bounds and deviations are computed in double, as in Python.
extension Tensor {
  /// torch's `uniform_`: numbers in [a, b).
  /// - Throws: `ModelError` when `a` is above `b` or the distance is not finite in the tensor's type.
  public mutating func uniform(from a: Double = 0, to b: Double = 1, using generator: inout TorchGenerator) throws {
    let format = try TorchGenerator.drawnFormat(dtype)
    try TorchGenerator.checkUniform(dtype, from: a, to: b)
    let dtype = dtype
    try updateBytes { generator.fillUniform($0, dtype, format, from: a, to: b) }
  }

  /// torch's `normal_`.
  /// - Throws: `ModelError` when the standard deviation is negative.
  public mutating func normal(
    mean: Double = 0, standardDeviation: Double = 1, using generator: inout TorchGenerator
  ) throws {
    let format = try TorchGenerator.drawnFormat(dtype)
    try TorchGenerator.checkNormal(standardDeviation)
    let dtype = dtype
    try updateBytes { generator.fillNormal($0, dtype, format, mean: mean, standardDeviation: standardDeviation) }
  }

  /// torch's `constant_`. Any floating or integer type.
  public mutating func constant(_ value: Double) throws {
    let pattern = try dtype.pattern(of: value)
    try updateBytes { bytes in
      guard pattern.contains(where: { $0 != 0 }) else {
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        return
      }
      for start in stride(from: 0, to: bytes.count, by: pattern.count) {
        UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + pattern.count]).copyBytes(from: pattern)
      }
    }
  }

  /// torch's `ones_`.
  public mutating func ones() throws { try constant(1) }

  /// torch's `zeros_`.
  public mutating func zeros() throws { try constant(0) }

  /// torch's `kaiming_uniform_`: in [-b, b), b = √3 · gain / √fan. A tensor without elements stays as it is and draws
  /// nothing.
  /// - Parameter a: the negative slope, of `leakyReLU` alone.
  /// - Throws: `ModelError` for fewer than 2 axes.
  public mutating func kaimingUniform(
    a: Double = 0, mode: FanMode = .fanIn, nonlinearity: Nonlinearity = .leakyReLU,
    using generator: inout TorchGenerator
  ) throws {
    if count == 0 { return }
    let bound = 3.0.squareRoot() * (try kaimingDeviation(a: a, mode: mode, nonlinearity: nonlinearity))
    try uniform(from: -bound, to: bound, using: &generator)
  }

  /// torch's `kaiming_normal_`: with standard deviation gain / √fan. A tensor without elements stays as it is and draws
  /// nothing.
  /// - Parameter a: the negative slope, of `leakyReLU` alone.
  /// - Throws: `ModelError` for fewer than 2 axes.
  public mutating func kaimingNormal(
    a: Double = 0, mode: FanMode = .fanIn, nonlinearity: Nonlinearity = .leakyReLU,
    using generator: inout TorchGenerator
  ) throws {
    if count == 0 { return }
    try normal(
      standardDeviation: try kaimingDeviation(a: a, mode: mode, nonlinearity: nonlinearity), using: &generator)
  }

  /// torch's `xavier_uniform_`: in [-b, b), b = √3 · gain · √(2 / (fan in + fan out)).
  /// - Throws: `ModelError` for fewer than 2 axes, or when both fans are 0.
  public mutating func xavierUniform(gain: Double = 1, using generator: inout TorchGenerator) throws {
    let bound = 3.0.squareRoot() * (try xavierDeviation(gain))
    try uniform(from: -bound, to: bound, using: &generator)
  }

  /// torch's `xavier_normal_`: with standard deviation gain · √(2 / (fan in + fan out)).
  /// - Throws: `ModelError` for fewer than 2 axes, or when both fans are 0.
  public mutating func xavierNormal(gain: Double = 1, using generator: inout TorchGenerator) throws {
    try normal(standardDeviation: try xavierDeviation(gain), using: &generator)
  }

  private func kaimingDeviation(a: Double, mode: FanMode, nonlinearity: Nonlinearity) throws -> Double {
    let fans = try calculateFanInAndFanOut(shape)
    let fan = mode == .fanIn ? fans.fanIn : fans.fanOut
    return calculateGain(nonlinearity, a) / Double(fan).squareRoot()
  }

  private func xavierDeviation(_ gain: Double) throws -> Double {
    let fans = try calculateFanInAndFanOut(shape)
    let (sum, overflow) = fans.fanIn.addingReportingOverflow(fans.fanOut)
    guard sum > 0, !overflow else { throw ModelError(.mismatch, "a tensor of shape \(shape) has no fan") }
    return gain * (2 / Double(sum)).squareRoot()
  }
}
