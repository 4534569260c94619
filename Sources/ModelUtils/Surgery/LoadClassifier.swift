import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelDownloads
import ModelRandom
import SystemPackage

/// Where a classifier's weights come from.
public enum ClassifierWeights: Sendable {
  /// torch.hub's folder, where torchvision keeps what it has downloaded.
  case hubCache
  /// A file, whatever its format.
  case file(any FileLocation)
  /// An address of http or https, whose file is kept in torch.hub's folder.
  case url(String)
  /// Nowhere: the values of `torch.manual_seed(seed)`.
  case random
}

/// What a classifier's new last layer starts with.
public enum ClassifierHead: String, Sendable, Codable, CaseIterable {
  /// Zeros, weight and bias, as the original has it.
  case zero
  /// What PyTorch's constructor of the layer draws.
  case initialized = "init"
}

/// A pretrained network with a last layer for other classes.
public struct LoadedClassifier: Sendable, CustomStringConvertible {
  /// In training mode, as torchvision makes it.
  public let module: Module
  /// The architecture's name.
  public let architecture: String
  /// How many classes the new last layer tells apart.
  public let classes: Int
  /// The last layer's path.
  public let head: String
  /// How many numbers the last layer gets.
  public let features: Int
  /// The file that the other weights come from; nil where they are random.
  public let weights: String?
  /// What a caller should know.
  public let notes: [String]

  /// The elements of all distinct parameters.
  public var parameters: Int {
    var count = 0
    module.visitParameters { count += $0.tensor.count }
    return count
  }

  public var description: String {
    "\(architecture) for \(classes) classes: \(parameters) parameters, new \(head) of \(features) features"
  }
}

/// A classifier of torchvision's with pretrained weights and a last layer of zeros for `classes` classes: YOLOv5's
/// `load_classifier`.
///
/// **Ours**: any of torchvision's classifiers whose last layer is a Linear or a 1x1 Conv2d (the original knows `fc`
/// alone), and weights from any file. The auxiliary classifiers of GoogLeNet and Inception v3 stay where the
/// file has them, for as many classes as it has.
/// - Parameters:
///   - name: the architecture's, such as `resnet50`.
///   - weights: whole modules or a state dict, for any number of classes, wrappers' prefixes and all. Names and shapes
///     must be the architecture's; only the last layer and the counts of batch norms may be missing. Values become
///     float32.
///   - seed: of random weights and, after them, of a last layer that is drawn.
///   - progress: of a download.
/// - Throws: `ModelError` for a name that is no classifier's, for weights that are not there or do not fit, and for a
///   number of classes that is not from 1 to 1048576. It never takes random weights unless asked to.
public func loadClassifier(
  _ name: String, classes: Int, weights: ClassifierWeights = .hubCache, head: ClassifierHead = .zero, seed: UInt64 = 0,
  progress: @escaping (DownloadProgress) -> Void = { _ in }
) throws -> LoadedClassifier {
  let architecture = try Architecture(named: name)
  guard let path = try architecture.module().classifierHead else {
    throw ModelError(.unsupported, "is no classifier of torchvision's", subject: name)
  }
  guard (1...1 << 20).contains(classes) else {
    throw ModelError(.invalid, "\(classes) classes: the number must be from 1 to \(1 << 20)", subject: name)
  }
  let file = try weights.file(for: name, progress: progress)
  var generator = TorchGenerator(seed: seed)
  var module: Module
  if let file {
    let state = try Checkpoint(contentsOf: file).preferred.stateDict()
    do { module = try architecture.module(holding: state, head: path) } catch let error as ModelError {
      throw error.inFile(file.string)
    }
  } else {
    module = try architecture.module(using: &generator)
  }
  let features = module[path]?.parameters["weight"]?.tensor.shape.dropFirst().first ?? 0
  switch head {
  case .zero: try module.replaceClassifier(classes: classes)
  case .initialized: try module.replaceClassifier(classes: classes, using: &generator)
  }
  return LoadedClassifier(
    module: module, architecture: name, classes: classes, head: path, features: features, weights: file?.string,
    notes: module.auxiliaryNotes)
}

extension ClassifierWeights {
  /// The file, downloaded if it must be; nil for random values.
  fileprivate func file(for name: String, progress: @escaping (DownloadProgress) -> Void) throws -> FilePath? {
    switch self {
    case .random: return nil
    case .file(let location): return try location.filePath
    case .url(let url): return try download(url, into: try HubCache.folder(), progress: progress).filePath
    case .hubCache:
      if let path = try HubCache.weights(of: name) { return try path.filePath }
      throw ModelError(
        .missing,
        "there are no pretrained weights of it in \(try HubCache.folder())", subject: name,
        advice: "give a file or an address with --weights, or 'none' for random ones")
    }
  }
}

extension Architecture {
  /// The network with a file's tensors, for the number of classes that the file has.
  fileprivate func module(holding original: StateDict, head: String) throws -> Module {
    let state = original.withoutOlderNames()
    let last = state.tensors.first { $0.key == "\(head).weight" || $0.key.hasSuffix(".\(head).weight") }?.value.shape
      .first
    var module = try module(classes: last.flatMap { (1...1 << 20).contains($0) ? $0 : nil })
    let auxiliary = module.auxiliaryClassifiers.map(\.name)
    if !state.names.contains(where: { name in auxiliary.contains { name.contains($0 + ".") } }) {
      module.removeAuxiliaryClassifiers()
    }
    let report = try module.transfer(from: state)
    let faults = report.skipped.filter { entry in
      guard entry.reason == "not in pretrained" else { return true }
      return !entry.name.hasPrefix("\(head).") && !entry.name.hasSuffix(".num_batches_tracked")
    }
    guard let first = faults.first else { return module }
    let reason =
      switch first.reason {
      case "not in target": "\(name) has no such entry"
      case "not in pretrained": "\(name) has this entry, the file does not"
      default: "does not fit \(name): \(first.reason)"
      }
    let others = faults.count > 1 ? "; so it is with \(faults.count - 1) others" : ""
    throw ModelError(.mismatch, reason + others, subject: first.name)
  }
}

// MARK: Auxiliary classifiers

extension Module {
  /// Those of GoogLeNet and of Inception v3, each with its last layer.
  fileprivate var auxiliaryClassifiers: [(name: String, head: String)] {
    [("aux1", "fc2"), ("aux2", "fc2"), ("AuxLogits", "fc")].filter { children[$0.0] != nil }
  }

  fileprivate mutating func removeAuxiliaryClassifiers() {
    for classifier in auxiliaryClassifiers {
      children[classifier.name] = nil
      attributes["aux_logits"] = .bool(false)
    }
  }

  fileprivate var auxiliaryNotes: [String] {
    let classifiers = auxiliaryClassifiers
    guard let first = classifiers.first,
      let old = children[first.name]?.children[first.head]?.parameters["weight"]?.tensor.shape.first
    else { return [] }
    let names = classifiers.map(\.name).joined(separator: " and ")
    return classifiers.count == 1
      ? ["the auxiliary classifier \(names) keeps its weights, for \(old) classes"]
      : ["the auxiliary classifiers \(names) keep their weights, for \(old) classes"]
  }
}
