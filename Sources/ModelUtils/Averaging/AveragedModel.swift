import ModelCore

/// Stochastic weight averaging, `torch.optim.swa_utils.AveragedModel` with its default function: the mean of all models given.
///
/// The first is copied; then e = e + (m - e) / (n + 1). Buffers are copied from the last model, or averaged with `useBuffers`.
public struct AveragedModel: ModelAverage {
  public var useBuffers: Bool
  /// The original's `n_averaged`.
  public private(set) var updates: Int
  public var skipsNonFinite = false
  private var weights: AveragedWeights

  public init(_ model: some Averageable, useBuffers: Bool = false, updates: Int = 0) throws {
    weights = try AveragedWeights(model.averageable)
    (self.useBuffers, self.updates) = (useBuffers, updates)
  }

  public var average: Model { weights.model }

  @discardableResult
  public mutating func update(_ model: some Averageable) throws -> AverageUpdate {
    let (count, useBuffers) = (updates, useBuffers)
    let result = try weights.update(
      model.averageable, by: .names, decay: Double(count) / Double(count + 1), skipsNonFinite: skipsNonFinite
    ) { _, isParameter in
      count == 0 || !(isParameter || useBuffers) ? .copy : .running(divisor: Double(count + 1))
    }
    if !result.isSkipped { updates += 1 }
    return result
  }
}
