import ModelCore

/// A learning rate as a function of the epoch; a caller that counts steps instead gives those.
///
/// A pure function in double: what it gives does not depend on what was asked before, so a table can be printed and a
/// run resumed anywhere.
public protocol LearningRateSchedule: Sendable {
  /// The rate at an epoch.
  /// - Parameters:
  ///   - epoch: counted from 0.
  ///   - initial: the rate that the schedule starts from, torch's `initial_lr`.
  func learningRate(at epoch: Int, initial: Double) -> Double
}

/// The initial rate, always.
public struct ConstantSchedule: LearningRateSchedule, Hashable {
  /// The schedule.
  public init() {}

  public func learningRate(at epoch: Int, initial: Double) -> Double { initial }
}

/// YOLOv5's linear schedule: the rate falls in a straight line to a share of itself.
///
/// initial · ((1 - epoch / epochs) · (1 - finalShare) + finalShare)
public struct LinearSchedule: LearningRateSchedule, Hashable {
  /// Where the line ends.
  public let epochs: Int
  /// The share of the initial rate that is left there, the original's `lrf`.
  public let finalShare: Double

  /// A line.
  /// - Throws: `ModelError` for no epochs.
  public init(epochs: Int, finalShare: Double) throws {
    try checkLength("epochs", epochs)
    (self.epochs, self.finalShare) = (epochs, finalShare)
  }

  public func learningRate(at epoch: Int, initial: Double) -> Double {
    let factor = (1 - Double(epoch) / Double(epochs)) * (1 - finalShare)
    return initial * (factor + finalShare)
  }
}

/// YOLOv5's and YOLOv6's cosine schedule (`one_cycle`): half a cosine down to a share of the rate.
///
/// initial · ((1 - cos(epoch · π / epochs)) / 2 · (finalShare - 1) + 1)
public struct CosineSchedule: LearningRateSchedule, Hashable {
  /// Where the cosine ends.
  public let epochs: Int
  /// The share of the initial rate that is left there, the original's `lrf`.
  public let finalShare: Double

  /// Half a cosine.
  /// - Throws: `ModelError` for no epochs.
  public init(epochs: Int, finalShare: Double) throws {
    try checkLength("epochs", epochs)
    (self.epochs, self.finalShare) = (epochs, finalShare)
  }

  public func learningRate(at epoch: Int, initial: Double) -> Double {
    let part = (1 - CMath.cos(Double(epoch) * .pi / Double(epochs))) / 2
    let factor = part * (finalShare - 1)
    return initial * (factor + 1)
  }
}

/// - Throws: `ModelError` for a number that is not above 0.
func checkLength(_ name: String, _ value: Int) throws {
  guard value > 0 else { throw ModelError(.invalid, "a schedule cannot have \(value) \(name)") }
}
