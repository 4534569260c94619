import ModelCheckpoints
import ModelCore
import SystemPackage

extension ClassificationSets {
  /// The names under which archives hold pictures and labels, to train with and to judge by.
  private static let names: [(training: (String, String), validation: [(String, String)])] = [
    (("x_train", "y_train"), [("x_val", "y_val"), ("x_test", "y_test")]),
    (("train_images", "train_labels"), [("val_images", "val_labels"), ("test_images", "test_labels")]),
    (("images", "labels"), []), (("x", "y"), []),
  ]

  /// An `.npz` of `x_train`, `y_train` and `x_test`, `y_test` (or `x_val`, `y_val`), as Keras' sets are; of
  /// `train_images` and so on; or of `images` and `labels` alone.
  /// - Throws: `ModelError` for other names, and as `ClassificationSet.init(name:pictures:labels:classNames:)`.
  public init(numPy location: some FileLocation) throws {
    let path = try location.filePath
    let arrays = try NumPyArchive.read(path)
    func set(_ keys: (String, String), _ classNames: [String]?) throws -> ClassificationSet? {
      guard let pictures = arrays[keys.0], let labels = arrays[keys.1] else { return nil }
      do {
        return try ClassificationSet(
          name: path.string, pictures: pictures, labels: Self.labels(labels), classNames: classNames)
      } catch let error as ModelError { throw error.about(keys.0).inFile(path.string) }
    }
    for names in Self.names {
      guard let training = try set(names.training, nil) else { continue }
      for keys in names.validation {
        guard let validation = try set(keys, training.classNames) else { continue }
        try self.init(training: training, validation: validation)
        return
      }
      try self.init(training: training, validation: nil)
      return
    }
    throw ModelError(
      .missing, "holds \(arrays.keys.joined(separator: ", ").printable(limit: 100)), no pictures with labels",
      file: path.string, advice: "save x_train and y_train, or images and labels")
  }

  /// The whole numbers of [count] or [count, 1].
  private static func labels(_ tensor: Tensor) throws -> [Int] {
    guard tensor.shape.count == 1 || (tensor.shape.count == 2 && tensor.shape[1] == 1) else {
      throw ModelError(.mismatch, "labels are [count], not \(tensor.shape)")
    }
    guard !tensor.dtype.isFloatingPoint, tensor.dtype != .bool else {
      throw ModelError(.unsupported, "labels are whole numbers, not \(tensor.dtype.rawValue)")
    }
    return try tensor.doubles().map { value in
      guard let label = Int(exactly: value) else { throw ModelError(.invalid, "has the label \(value)") }
      return label
    }
  }
}
