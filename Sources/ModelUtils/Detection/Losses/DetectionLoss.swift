import ModelCore

/// How far a detector's outputs are from what is to be found.
public struct DetectionLoss: Sendable {
  /// A part of it.
  public struct Item: Sendable, Hashable {
    /// The original's name of the part.
    public let name: String
    /// With its weight.
    public let value: Double
  }

  /// What the gradients are of.
  public let total: Double
  /// Its parts as the original shows them; YOLOv5 and YOLOv8 multiply the total, but not these, by the batch's size.
  public let items: [Item]
  /// The total's derivatives by each output, float32 of its shape.
  public let gradients: [Tensor]
}

/// A loss behind a detector in training mode. It is computed in double; the network's outputs are float32 (what has
/// fewer bits is converted).
public protocol DetectionObjective: Sendable {
  /// The loss of a batch.
  /// - Parameters:
  ///   - outputs: what the network gives, in the order that the loss says.
  ///   - targets: what is to be found.
  ///   - height: of the batch's pictures, in pixels.
  ///   - width: likewise.
  ///   - epoch: from 0.
  /// - Throws: `ModelError` for outputs of other shapes or that are not finite, and for targets that cannot be.
  func callAsFunction(
    _ outputs: [Tensor], _ targets: DetectionTargets, height: Int, width: Int, epoch: Int
  ) throws -> DetectionLoss
}
