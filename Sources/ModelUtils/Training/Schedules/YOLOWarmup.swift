import ModelCore

/// The warm-up of YOLOv5 and YOLOv6: for its first steps rates, momentum and the number of batches in an update go in
/// straight lines from their first values to the schedule's.
public struct YOLOWarmup: Sendable, Hashable {
  /// How many steps it lasts; 0 for none.
  public let steps: Int
  /// What the rate of biases begins with, the original's `warmup_bias_lr`; that of other parameters begins with 0.
  public let biasLearningRate: Double
  /// What the momentum begins with.
  public let momentum: Double
  /// The batch size that an update stands for, 64 in the original.
  public let nominalBatchSize: Int

  /// A warm-up with the original's defaults.
  /// - Throws: `ModelError` for a number of steps below 0, and a nominal batch without pictures.
  public init(steps: Int, biasLearningRate: Double = 0.1, momentum: Double = 0.8, nominalBatchSize: Int = 64) throws {
    guard steps >= 0, nominalBatchSize > 0 else {
      throw ModelError(.invalid, "a warm-up of \(steps) steps toward batches of \(nominalBatchSize) cannot be")
    }
    (self.steps, self.biasLearningRate, self.momentum) = (steps, biasLearningRate, momentum)
    self.nominalBatchSize = nominalBatchSize
  }

  /// The original's number of steps: `epochs` of them, at least so many.
  public static func steps(epochs: Double, stepsPerEpoch: Int, minimum: Int = 1000) throws -> Int {
    let product = epochs * Double(stepsPerEpoch)
    guard epochs >= 0, stepsPerEpoch >= 0, let steps = Int(exactly: product.rounded(.toNearestOrEven)) else {
      throw ModelError(.invalid, "a warm-up cannot last \(epochs) epochs of \(stepsPerEpoch) steps")
    }
    return max(steps, minimum)
  }

  /// Whether a step, counted from 0 through all epochs, is in the warm-up. The step after the last is, as in the original.
  public func contains(_ step: Int) -> Bool { step <= steps }

  /// The rate of a step.
  /// - Parameters:
  ///   - target: what the schedule gives for the epoch.
  ///   - isBias: whether the group is that of biases.
  public func learningRate(at step: Int, target: Double, isBias: Bool) -> Double {
    interpolated(step, isBias ? biasLearningRate : 0, target)
  }

  /// The momentum of a step.
  /// - Parameter target: the optimizer's momentum.
  public func momentum(at step: Int, target: Double) -> Double { interpolated(step, momentum, target) }

  /// How many batches make an update: from 1 to as many as the nominal batch holds.
  public func accumulation(at step: Int, batchSize: Int) -> Int {
    let batches = Double(nominalBatchSize) / Double(max(1, batchSize))
    let value = contains(step) ? interpolated(step, 1, batches) : batches
    return max(1, Int(value.rounded(.toNearestOrEven)))
  }

  /// NumPy's `interp` between step 0 and the last.
  private func interpolated(_ step: Int, _ first: Double, _ last: Double) -> Double {
    guard step < steps else { return last }
    guard step > 0 else { return first }
    let slope = (last - first) / Double(steps)
    let way = slope * Double(step)
    return way + first
  }
}
