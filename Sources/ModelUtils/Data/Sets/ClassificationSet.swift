import ModelCore
import ModelImages
import SystemPackage

/// Pictures with one class each.
///
/// Labels and counts are checked when a set is opened; pictures in files are decoded when they are asked for.
public struct ClassificationSet: Sendable {
  /// The file or folder that it was read from.
  public let name: String
  /// The names of the classes; a label is an index.
  public let classNames: [String]
  /// For each sample its class.
  public let labels: [Int]
  private let source: Source

  /// Where the pictures are.
  enum Source: Sendable {
    case files([FilePath])
    /// uint8 [count, height, width, channels], which may be strided.
    case array(Tensor)
  }

  /// How many samples there are.
  public var count: Int { labels.count }

  /// Whether the pictures are decoded from files, so that keeping them saves time.
  public var isInFiles: Bool { if case .files = source { true } else { false } }

  /// The most classes that labels alone may tell of.
  static let classLimit = 1 << 20

  /// - Throws: `ModelError` for no samples, and another number of labels than of pictures.
  init(name: String, classNames: [String], labels: [Int], source: Source) throws {
    let pictures =
      switch source {
      case .files(let paths): paths.count
      case .array(let tensor): tensor.shape[0]
      }
    guard pictures == labels.count else {
      throw ModelError(.mismatch, "has \(pictures) pictures and \(labels.count) labels", file: name)
    }
    guard pictures > 0 else { throw ModelError(.missing, "has no samples", file: name) }
    for (index, label) in labels.enumerated() where !classNames.indices.contains(label) {
      throw ModelError(
        .invalid, "sample \(index) has the label \(label), where there are \(classNames.count) classes", file: name,
        advice: "labels count from 0")
    }
    (self.name, self.classNames, self.labels, self.source) = (name, classNames, labels, source)
  }

  /// Pictures in memory.
  /// - Parameters:
  ///   - pictures: uint8 [count, height, width], [count, height, width, channels] or [count, channels, height, width]
  ///     with 1 or 3 channels.
  ///   - labels: a class for each.
  ///   - classNames: the digits of the labels when nil.
  /// - Throws: `ModelError` for other types and shapes, labels out of range, and counts that do not match.
  public init(name: String, pictures: Tensor, labels: [Int], classNames: [String]? = nil) throws {
    do {
      try self.init(
        name: name, classNames: try classNames ?? Self.names(of: labels), labels: labels,
        source: .array(try Self.interleaved(pictures)))
    } catch let error as ModelError { throw error.inFile(name) }
  }

  /// Where a sample is: its file, or its place in the array.
  public func location(of index: Int) -> String {
    switch source {
    case .files(let paths): paths.indices.contains(index) ? paths[index].string : "\(name)[\(index)]"
    case .array: "\(name)[\(index)]"
    }
  }

  /// A sample's picture, uint8 [height, width, channels] with 1 or 3 channels.
  ///
  /// Files are read as `ImageFile` reads them: as RGB, and turned upright as EXIF says, which torchvision does not do.
  /// - Throws: `ModelError` that names the file, and for an index beyond the set.
  public func picture(_ index: Int) throws -> Tensor {
    guard labels.indices.contains(index) else {
      throw ModelError(.invalid, "has \(count) samples, none at \(index)", file: name)
    }
    switch source {
    case .files(let paths): return try ImageFile.decoded(paths[index])
    case .array(let tensor):
      return try Tensor(
        tensor.storage, dtype: .uint8, shape: Array(tensor.shape.dropFirst()),
        strides: Array(tensor.strides.dropFirst()), byteOffset: tensor.byteOffset + index * tensor.strides[0])
    }
  }

  /// The same samples with other names of classes, such as those of a file beside it.
  /// - Throws: `ModelError` for fewer names than the labels take.
  public func renamed(_ classNames: [String]) throws -> ClassificationSet {
    try ClassificationSet(name: name, classNames: classNames, labels: labels, source: source)
  }

  /// Refuses a set with a class that no sample has, as training sets are: a sign of labels that count from 1.
  /// - Throws: `ModelError` that names the first such class.
  public func checkClasses() throws {
    let known = Set(labels)
    if let empty = classNames.indices.first(where: { !known.contains($0) }) {
      throw ModelError(
        .missing, "has no sample of the class '\(classNames[empty])', number \(empty) of \(classNames.count)",
        file: name,
        advice: "labels count from 0")
    }
  }

  /// - Throws: `ModelError` for labels below 0 or beyond what classes there may be.
  static func names(of labels: [Int]) throws -> [String] {
    guard let (least, greatest) = labels.min().flatMap({ low in labels.max().map { (low, $0) } }) else {
      throw ModelError(.missing, "has no samples")
    }
    guard least >= 0, greatest < classLimit else {
      throw ModelError(.invalid, "has the label \(least < 0 ? least : greatest)", advice: "labels count from 0")
    }
    return (0...greatest).map(String.init)
  }

  /// [count, height, width, channels], as a view.
  private static func interleaved(_ pictures: Tensor) throws -> Tensor {
    let (shape, strides) = (pictures.shape, pictures.strides)
    guard pictures.dtype == .uint8 else {
      throw ModelError(
        .unsupported, "has pictures of \(pictures.dtype.rawValue), not of uint8", advice: "save bytes of 0 to 255")
    }
    let order: [Int]? =
      switch shape.count {
      case 3: [0, 1, 2]
      case 4 where shape[3] == 1 || shape[3] == 3: [0, 1, 2, 3]
      case 4 where shape[1] == 1 || shape[1] == 3: [0, 2, 3, 1]
      default: nil
      }
    guard let order, pictures.isReadable, shape.dropFirst().allSatisfy({ $0 > 0 }) else {
      guard order == nil || pictures.isReadable else { return try interleaved(pictures.materialized()) }
      throw ModelError(
        .mismatch, "has pictures of shape \(shape)",
        advice: "use [count, height, width], with 1 or 3 channels behind or before the sides")
    }
    return try Tensor(
      pictures.storage, dtype: .uint8, shape: order.map { shape[$0] } + (shape.count == 3 ? [1] : []),
      strides: order.map { strides[$0] } + (shape.count == 3 ? [1] : []), byteOffset: pictures.byteOffset)
  }
}

/// A set to train with, and one to judge by.
public struct ClassificationSets: Sendable {
  /// What is learned from; every class has samples.
  public let training: ClassificationSet
  /// What is judged by; nil where there is none. Its classes are those of `training`.
  public let validation: ClassificationSet?

  /// Two sets with the same classes.
  ///
  /// - Throws: `ModelError` for a class without samples in `training`, and other classes in `validation`.
  public init(training: ClassificationSet, validation: ClassificationSet?) throws {
    try training.checkClasses()
    if let validation, validation.classNames != training.classNames {
      throw ModelError(
        .mismatch,
        "has \(validation.classNames.count) classes that are not the \(training.classNames.count) of "
          + training.name, file: validation.name)
    }
    (self.training, self.validation) = (training, validation)
  }

  /// Opens what a path names: a folder with a folder for each class (or such folders in `train` and `val`, `valid`,
  /// `validation` or `test`), a folder of MNIST's files, an `.npz` or a `.csv`.
  /// - Throws: `ModelError` for what is none of these, and as each of them.
  public init(contentsOf location: some FileLocation) throws {
    let path = try location.filePath
    switch path.extension?.lowercased() {
    case "npz": try self.init(numPy: path)
    case "csv": try self.init(training: ClassificationSet(csv: path), validation: nil)
    default:
      guard let entries = try FolderEntries(path) else {
        throw ModelError(
          .unsupported, "is no folder, .npz or .csv of pictures with classes", file: path.string)
      }
      if entries.files.contains(where: { $0.hasPrefix("train-images") }) {
        try self.init(idx: path)
      } else if entries.folders.contains("train") {
        let other = ["val", "valid", "validation", "test"].first(where: entries.folders.contains)
        let training = try ClassificationSet(imageFolder: path.appending("train"))
        let validation = try other.map {
          try ClassificationSet(imageFolder: path.appending($0), classNames: training.classNames)
        }
        try self.init(training: training, validation: validation)
      } else {
        try self.init(training: ClassificationSet(imageFolder: path), validation: nil)
      }
    }
  }
}
