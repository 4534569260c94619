import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// timm's `ModelEmaV3`: floats are interpolated (`lerp`) by 1 - decay, the rest is copied, matched by order.
///
/// bfloat16 is averaged in float32 and rounded to nearest, where the original rounds stochastically.
public struct ModelEmaV3: ModelAverage {
  /// The share of the old average in the new one, once warmed up.
  public var decay: Double
  /// The least that warm-up gives.
  public var minDecay: Double
  /// Up to this step the model is copied.
  public var updateAfterStep: Int
  /// Whether the decay grows from 0: 1 - (1 + steps / `warmupGamma`)^-`warmupPower`.
  public var useWarmup: Bool
  /// How many steps the warm-up's unit is.
  public var warmupGamma: Double
  /// How fast the warm-up goes: 2/3 for a million steps or more, 3/4 for fewer.
  public var warmupPower: Double
  /// Buffers are copied rather than averaged. In a bare state dict the running statistics count as buffers.
  public var excludeBuffers: Bool
  public private(set) var updates: Int
  public var skipsNonFinite = false
  private var weights: AveragedWeights

  /// An average that starts from a model; to resume, from the average itself, with the `updates` that it has had.
  /// - Throws: `ModelError` when a tensor cannot be read.
  public init(
    _ model: some Averageable, decay: Double = 0.9999, minDecay: Double = 0, updateAfterStep: Int = 0,
    useWarmup: Bool = false, warmupGamma: Double = 1, warmupPower: Double = 2.0 / 3, excludeBuffers: Bool = false,
    updates: Int = 0
  ) throws {
    weights = try AveragedWeights(model.averageable)
    (self.decay, self.minDecay, self.updateAfterStep) = (decay, minDecay, updateAfterStep)
    (self.useWarmup, self.warmupGamma, self.warmupPower) = (useWarmup, warmupGamma, warmupPower)
    (self.excludeBuffers, self.updates) = (excludeBuffers, updates)
  }

  public var average: Model { weights.model }

  /// The decay at a training step: `get_decay`. Without a step there is neither warm-up nor delay.
  public func decay(at step: Int?) -> Double {
    guard let step else { return decay }
    let (past, overflow) = step.subtractingReportingOverflow(updateAfterStep)
    guard !overflow, past > 1 else { return 0 }
    guard useWarmup else { return decay }
    let warm = 1 - pow(1 + Double(past - 1) / warmupGamma, -warmupPower)
    return max(min(warm, decay), minDecay)
  }

  @discardableResult
  public mutating func update(_ model: some Averageable) throws -> AverageUpdate { try update(model, step: nil) }

  @discardableResult
  public mutating func update(_ model: some Averageable, step: Int?) throws -> AverageUpdate {
    let decay = decay(at: step)
    let excludeBuffers = excludeBuffers
    let result = try weights.update(
      model.averageable, by: .order, decay: decay, skipsNonFinite: skipsNonFinite
    ) { tensor, role in
      if role == .nonPersistentBuffer, !excludeBuffers { return .keep }
      guard tensor.dtype.isFloatingPoint, decay != 0, role == .parameter || !excludeBuffers else { return .copy }
      return .lerp(weight: 1 - decay)
    }
    if !result.isSkipped { updates += 1 }
    return result
  }

  /// Makes the average a copy of the model.
  public mutating func set(_ model: some Averageable) throws {
    _ = try weights.update(model.averageable, by: .order, decay: 0, skipsNonFinite: false) { _, role in
      role == .nonPersistentBuffer ? .keep : .copy
    }
  }
}
