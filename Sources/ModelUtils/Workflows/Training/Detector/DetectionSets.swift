import ModelCore
import ModelData

/// What a detector learns from and is judged by.
public struct DetectionSets: Sendable {
  /// What is learned from.
  public let training: DetectionSet
  /// What is judged by; nil where the description names none.
  public let validation: DetectionSet?

  /// Sets with the same classes.
  public init(training: DetectionSet, validation: DetectionSet? = nil) {
    (self.training, self.validation) = (training, validation)
  }

  /// The parts `train` and `val` of a YOLO description, or of the one in a folder.
  /// - Throws: `ModelError` for a description without `train`, and for the first faults of either, with their count.
  public init(contentsOf location: some FileLocation) throws {
    let description = try DetectionDescription(contentsOf: location)
    training = try description.set(.train)
    validation = description.parts[.val] == nil ? nil : try description.set(.val)
  }

  /// What the checks of both found worth knowing, a few lines of each.
  public var notes: [String] {
    [training, validation].compactMap { $0 }.flatMap { $0.report.notes.prefix(4).map { "\($0)" } }
  }

  /// Whether it is a description, or a folder with one.
  public static func recognizes(_ location: some FileLocation) throws -> Bool {
    try DetectionDescription.file(at: location) != nil
  }
}
