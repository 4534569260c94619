import ModelCore

/// How YOLOv5's and YOLOv6's trainers move learning rates, momentum and the batches of an update through a run: a
/// warm-up step by step, then a schedule epoch by epoch. A pure function of the step.
public struct YOLOSchedule: Sendable {
  /// How the rate falls from one epoch to the next.
  public enum Form: String, Codable, Sendable, CaseIterable {
    /// Half a cosine or a line down to a share of the first rate, or always that.
    case cosine, linear, constant
  }

  /// What stands behind the warm-up.
  private let schedule: any LearningRateSchedule
  /// How many batches an epoch has.
  public let stepsPerEpoch: Int
  /// How many pictures a batch has, of all ranks.
  public let batchSize: Int
  /// How it begins.
  public let warmup: YOLOWarmup
  /// Whether epochs behind the warm-up take the rate of the epoch before, as YOLOv6's do.
  public let isLate: Bool

  /// A schedule.
  /// - Parameter finalShare: the share of the first rate that is left at the end, `lrf`.
  /// - Throws: `ModelError` for no epochs, steps or pictures.
  public init(
    _ form: Form, epochs: Int, finalShare: Double, stepsPerEpoch: Int, batchSize: Int, warmup: YOLOWarmup,
    isLate: Bool
  ) throws {
    schedule =
      switch form {
      case .cosine: try CosineSchedule(epochs: epochs, finalShare: finalShare)
      case .linear: try LinearSchedule(epochs: epochs, finalShare: finalShare)
      case .constant: ConstantSchedule()
      }
    try checkLength("steps in an epoch", stepsPerEpoch)
    try checkLength("pictures in a batch", batchSize)
    (self.stepsPerEpoch, self.batchSize, self.warmup, self.isLate) = (stepsPerEpoch, batchSize, warmup, isLate)
  }

  /// The learning rate of a step.
  /// - Parameters:
  ///   - step: counted from 0 through all epochs.
  ///   - initial: the group's first rate, `initial_lr`.
  ///   - isBias: whether the group is that of biases.
  public func learningRate(at step: Int, initial: Double, isBias: Bool) -> Double {
    let epoch = step / stepsPerEpoch
    if warmup.contains(step) {
      return warmup.learningRate(at: step, target: scheduled(epoch, initial), isBias: isBias)
    }
    // What the warm-up left stays until its epoch ends.
    let isBehind = isLate && epoch > warmup.steps / stepsPerEpoch
    return scheduled(isBehind ? epoch - 1 : epoch, initial)
  }

  /// The momentum of a step.
  /// - Parameter target: the recipe's.
  public func momentum(at step: Int, target: Double) -> Double {
    warmup.contains(step) ? warmup.momentum(at: step, target: target) : target
  }

  /// How many batches make an update at a step.
  public func accumulation(at step: Int) -> Int { warmup.accumulation(at: step, batchSize: batchSize) }

  private func scheduled(_ epoch: Int, _ initial: Double) -> Double {
    schedule.learningRate(at: epoch, initial: initial)
  }
}
