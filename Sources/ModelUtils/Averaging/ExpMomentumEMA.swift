import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// mmyolo's `ExpMomentumEMA`: the momentum, which is the share of the model, falls exponentially from 1.
///
/// momentum(s) = (1 - momentum) · exp(-(1 + s) / gamma) + momentum. Step 0 copies; from then on every `interval` steps
/// a = lerp(a, m, momentum(s)) on floats. Buffers are copied at every update, or with `updateBuffers` averaged like
/// parameters (the published class copies them no more after step 0, for it has used up the generator that lists them).
public struct ExpMomentumEMA: ModelAverage {
  /// The share of the model in the long run, above 0 and below 1.
  public var momentum: Double
  /// How slowly the momentum falls: the steps in which its distance from the long run's falls to 37 %.
  public var gamma: Double
  /// Parameters are averaged every so many steps.
  public var interval: Int
  /// Whether buffers are averaged as parameters are.
  public var updateBuffers: Bool
  /// How many models it has been given, the copied ones included.
  public private(set) var steps: Int
  public var skipsNonFinite = false
  private var weights: AveragedWeights

  /// An average to be updated; to resume, give the average itself with the `steps` that it has had.
  /// - Throws: `ModelError` unless gamma is above 0, the interval at least 1 and the momentum between 0 and 1.
  public init(
    _ model: some Averageable, momentum: Double = 0.0002, gamma: Double = 2000, interval: Int = 1,
    updateBuffers: Bool = false, steps: Int = 0
  ) throws {
    guard gamma > 0 else { throw ModelError(.invalid, "gamma is \(gamma); it must be greater than 0") }
    guard interval > 0 else { throw ModelError(.invalid, "the interval is \(interval); it must be at least 1") }
    guard momentum > 0, momentum < 1 else {
      throw ModelError(.invalid, "the momentum is \(momentum); it must be between 0 and 1")
    }
    weights = try AveragedWeights(model.averageable)
    (self.momentum, self.gamma, self.interval) = (momentum, gamma, interval)
    (self.updateBuffers, self.steps) = (updateBuffers, steps)
  }

  public var average: Model { weights.model }
  public var updates: Int { steps }

  /// The share of the model at a step, counted from 0.
  public func momentum(at step: Int) -> Double {
    (1 - momentum) * exp(-Double(1 + step) / gamma) + momentum
  }

  @discardableResult
  public mutating func update(_ model: some Averageable) throws -> AverageUpdate {
    let (isCopy, isDue) = (steps == 0, steps % interval == 0)
    let weight = isCopy ? 1 : isDue ? momentum(at: steps) : 0
    let updateBuffers = updateBuffers
    let result = try weights.update(
      model.averageable, by: .names, decay: 1 - weight, skipsNonFinite: skipsNonFinite
    ) { tensor, role in
      if role == .nonPersistentBuffer { return updateBuffers ? .keep : .copy }
      if isCopy || !(role == .parameter || updateBuffers) { return .copy }
      return isDue && tensor.dtype.isFloatingPoint ? .lerp(weight: weight) : .keep
    }
    if !result.isSkipped { steps += 1 }
    return result
  }
}
