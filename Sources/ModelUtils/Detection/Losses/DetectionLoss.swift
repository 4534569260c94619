import ModelCore

/// How far a detector's outputs are from what is to be found.
public struct DetectionLoss: Sendable {
  /// A part of it.
  public struct Item: Sendable, Hashable {
    /// The original's name of the part.
    public let name: String
    /// With its weight.
    public let value: Double

    /// A part with its weight.
    public init(name: String, value: Double) { (self.name, self.value) = (name, value) }
  }

  /// What the gradients are of. It is not finite where the original's is not either, as of boxes without any size.
  public let total: Double
  /// Its parts as the original shows them; YOLOv5 and YOLOv8 multiply the total, but not these, by the batch's size.
  public let items: [Item]
  /// The total's derivatives by each output, of its shape: float64 where all outputs are, else float32.
  public let gradients: [Tensor]

  /// A loss that was found.
  public init(total: Double, items: [Item], gradients: [Tensor]) {
    (self.total, self.items, self.gradients) = (total, items, gradients)
  }
}

/// A loss behind a detector in training mode, computed in double from outputs in float64 or float32; other floating types
/// are converted to float32. `TrainingSession.forward` gives the outputs, `backward` takes the gradients.
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
