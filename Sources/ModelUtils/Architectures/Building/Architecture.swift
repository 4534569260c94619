import ModelCore

/// A network that can be built by name, as its original's constructor builds it: YOLOv5's and torchvision's.
///
///     let net = try Architecture(named: "resnet50")
///     let module = try net.module()            // shapes at once; seed 0's values when they are first read
public struct Architecture: Sendable {
  public let name: String
  /// How many classes it tells apart unless told otherwise: 1000 for classifiers, 80 for detectors.
  public let defaultClasses: Int
  private let make: @Sendable (ModuleBuilder, Int) -> Module

  init(_ name: String, classes: Int, _ make: @escaping @Sendable (ModuleBuilder, Int) -> Module) {
    (self.name, defaultClasses, self.make) = (name, classes, make)
  }

  private static let all: [Architecture] =
    AlexNet.architectures + ConvNeXt.architectures + DenseNet.architectures + EfficientNet.architectures
    + GoogLeNet.architectures + MNASNet.architectures + MobileNetV2.architectures + MobileNetV3.architectures
    + RegNet.architectures + ResNet.architectures + ShuffleNetV2.architectures + SqueezeNet.architectures
    + VGG.architectures

  /// The names of all, family by family.
  public static let names = all.map(\.name)

  /// A built-in architecture.
  /// - Throws: `ModelError` for a name that is not known; it says which are nearest.
  public init(named name: String) throws {
    guard let found = Self.all.first(where: { $0.name == name }) else {
      let near = Self.names.nearest(to: name)
      throw ModelError("there is no architecture of this name", subject: name, advice: "the nearest are \(near)")
    }
    self = found
  }

  /// The network, ready in a moment: its values are those of `torch.manual_seed(seed)` and are computed, all of them, when the first is read.
  /// - Parameter classes: the number of classes, `defaultClasses` when nil.
  /// - Throws: `ModelError` for a number of classes that is not from 1 to 1048576.
  public func module(classes: Int? = nil, seed: UInt64 = 0) throws -> Module {
    let builder = ModuleBuilder()
    return try builder.finish(try build(builder, classes), seed: seed)
  }

  /// The network with its values drawn from a generator, in memory of their own.
  ///
  /// They are what the original's constructor gives, tensor for tensor, and the generator goes on where it would.
  /// - Throws: as `module(classes:seed:)`.
  public func module(classes: Int? = nil, using generator: inout TorchGenerator) throws -> Module {
    let builder = ModuleBuilder()
    return try builder.finish(try build(builder, classes), using: &generator)
  }

  private func build(_ builder: ModuleBuilder, _ classes: Int?) throws -> Module {
    let classes = classes ?? defaultClasses
    guard (1...1 << 20).contains(classes) else {
      throw ModelError("\(classes) classes: the number must be from 1 to \(1 << 20)", subject: name)
    }
    return make(builder, classes)
  }
}

extension [String] {
  /// The three names with the fewest edits, in a sentence.
  fileprivate func nearest(to name: String) -> String {
    let name = String(name.prefix(64)).lowercased()
    let ranked = map { (name: $0, edits: $0.edits(to: name)) }.sorted { $0.edits < $1.edits }
    return ranked.prefix(3).map(\.name).joined(separator: ", ")
  }
}

extension String {
  /// Levenshtein's distance.
  fileprivate func edits(to other: String) -> Int {
    let (first, second) = (Array(utf8), Array(other.utf8))
    var row = Array(0...second.count)
    for (i, a) in first.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in second.enumerated() {
        (diagonal, row[j + 1]) = (row[j + 1], Swift.min(row[j] + 1, row[j + 1] + 1, diagonal + (a == b ? 0 : 1)))
      }
    }
    return row[second.count]
  }
}
