import ModelCore
import ModelRandom

/// A network that can be built by name, as its original's constructor builds it: YOLOv5's, YOLOv6's and torchvision's.
///
///     let net = try Architecture(named: "resnet50")
///     let module = try net.module()            // shapes at once; seed 0's values when they are first read
public struct Architecture: Sendable {
  /// Its name, such as `resnet50`, or the name of the file that describes it.
  public let name: String
  /// How many classes it tells apart unless told otherwise: 1000 for classifiers, 80 for detectors.
  public let defaultClasses: Int
  private let make: @Sendable (ModuleBuilder, Int) -> Module

  init(_ name: String, classes: Int, _ make: @escaping @Sendable (ModuleBuilder, Int) -> Module) {
    (self.name, defaultClasses, self.make) = (name, classes, make)
  }

  private static let all: [Architecture] = [
    YOLOv5Family.architectures, YOLOv6Family.architectures, AlexNet.architectures, ConvNeXt.architectures,
    DenseNet.architectures,
    EfficientNet.architectures, GoogLeNet.architectures, Inception.architectures, MaxViT.architectures,
    MNASNet.architectures, MobileNetV2.architectures, MobileNetV3.architectures, RegNet.architectures,
    ResNet.architectures, ShuffleNetV2.architectures, SqueezeNet.architectures, SwinTransformer.architectures,
    VGG.architectures, VisionTransformer.architectures,
  ].flatMap { $0 }

  /// The names of all, family by family.
  public static let names = all.map(\.name)

  /// A built-in architecture.
  /// - Throws: `ModelError` for a name that is not known; it says which are nearest.
  public init(named name: String) throws {
    guard let found = Self.all.first(where: { $0.name == name }) else {
      let near = Self.names.nearest(to: name)
      throw ModelError(
        .missing, "there is no architecture of this name", subject: name, advice: "the nearest are \(near)")
    }
    self = found
  }

  /// A YOLOv6 network with a branch of anchors in its head, which helps in training alone: the original's `fuse_ab`.
  /// - Throws: `ModelError` for what is no YOLOv6 network of three levels.
  public init(named name: String, hasAnchorBranch: Bool) throws {
    guard hasAnchorBranch else {
      try self.init(named: name)
      return
    }
    guard let found = YOLOv6Family.withAnchorBranch(name) else {
      throw ModelError(.unsupported, "has no branch of anchors: YOLOv6 networks of three levels have", subject: name)
    }
    self = found
  }

  /// A detector or segmenter from its description.
  ///
  /// YOLOv5's has `nc`, `depth_multiple`, `width_multiple`, `anchors`, `backbone`, `head` and, where they are given, `ch`,
  /// `activation` and `inplace`. Its arguments are data: names that YOLOv5's parser knows (`nc`, `anchors`, `None`,
  /// `nn.SiLU()`) are understood, expressions are not evaluated.
  ///
  /// A YOLOv6 network's has `family: yolov6`, `depth`, `width` and, where it differs from YOLOv6n, `classes`, `mode`
  /// (`repvgg`, `conv_relu`, `conv_silu`, `repopt`, `hyper_search`, `qarepvgg`, `qarepvggv2`), `stage` (`blocks`, `bepc3`,
  /// `mbla`) and the `share` of its branches, `neck` (`bifpan`, `pan`), `pooling` (`cspsppf`, `sppf`), `distributions`,
  /// `levels` (3, 4), `anchor_branch`, `blocks`, `channels`, `neck_blocks` and `neck_channels`.
  /// - Throws: `ModelError` with the file and the line.
  public init(yaml file: FileBytes) throws {
    do {
      if YOLOv6Configuration.recognizes(file.bytes) {
        let configuration = try YOLOv6Configuration(yaml: file.bytes)
        self.init(file.name, classes: configuration.classes) { configuration.network.build($0, classes: $1) }
        return
      }
      var configuration = try YOLOv5Configuration(yaml: file.bytes)
      configuration.file = file.name.split(separator: "/").last.map(String.init)
      self.init(file.name, classes: configuration.classes) { [configuration] make, classes in
        var configuration = configuration
        configuration.classes = classes
        return YOLOv5Model(make, configuration).detector()
      }
    } catch let error as ModelError {
      throw error.inFile(file.name)
    }
  }

  /// Whether a file is a description, as its content tells: text with the line `family:`, or with `backbone:` and `head:`.
  public static func recognizes(yaml file: FileBytes) -> Bool {
    YOLOv6Configuration.recognizes(file.bytes) || YOLOv5Configuration.recognizes(file.bytes)
  }

  /// The network, ready in a moment: its values are those of `torch.manual_seed(seed)` and are computed, all of them,
  /// when the first is read.
  /// - Parameter classes: the number of classes, `defaultClasses` when nil.
  /// - Throws: `ModelError` for a number of classes that is not from 1 to 1048576.
  public func module(classes: Int? = nil, seed: UInt64 = 0) throws -> Module {
    try build(classes) { try $0.finish($1, seed: seed) }
  }

  /// The network with its values drawn from a generator, in memory of their own.
  ///
  /// They are what the original's constructor gives, tensor for tensor, and the generator goes on where it would.
  /// - Throws: as `module(classes:seed:)`.
  public func module(classes: Int? = nil, using generator: inout TorchGenerator) throws -> Module {
    try build(classes) { try $0.finish($1, using: &generator) }
  }

  private func build(_ classes: Int?, _ finish: (ModuleBuilder, Module) throws -> Module) throws -> Module {
    let classes = classes ?? defaultClasses
    do {
      guard (1...1 << 20).contains(classes) else {
        throw ModelError(.invalid, "the number of classes must be from 1 to \(1 << 20), not \(classes)")
      }
      let builder = ModuleBuilder()
      return try finish(builder, make(builder, classes))
    } catch let error as ModelError {
      throw error.inFile(name)
    }
  }
}
