import ModelCore
import ModelGraph
import Synchronization

/// What a class's `forward` does: which children it calls and what it computes between them.
///
///     "torchvision.models.resnet.BasicBlock": Forward { block, x in
///       let y = try block(x, "conv1", "bn1", "relu", "conv2", "bn2")
///       let shortcut = block.has("downsample") ? try block(x, "downsample") : x
///       return try block(block.add(y, shortcut), "relu")
///     },
///
/// The package knows those of many classes; `Forward.register(_:)` adds those of one's own.
///
/// It is the same in training but where `training(_:)` says otherwise.
public struct Forward: Sendable {
  /// What a forward does with the values that come to a module.
  public typealias Run = @Sendable (ForwardCall, [Graph.Value]) throws -> [Graph.Value]

  let run: Run
  /// What it does in training; nil where that is not known.
  private(set) var trainingRun: Run?
  /// Children that do not run in evaluation, such as auxiliary heads.
  private(set) var idleChildren: Set<String> = []
  /// Children that do not run in training, such as what decodes boxes.
  private(set) var idleInTraining: Set<String> = []

  private init(any run: @escaping Run) {
    self.run = run
    trainingRun = run
  }

  /// One tensor to one tensor.
  public init(_ run: @escaping @Sendable (ForwardCall, Graph.Value) throws -> Graph.Value) {
    self.init(any: { [try run($0, $0.only($1))] })
  }

  /// Several tensors to several.
  public static func lists(_ run: @escaping Run) -> Forward { Forward(any: run) }

  /// Several tensors to one.
  public static func list(_ run: @escaping @Sendable (ForwardCall, [Graph.Value]) throws -> Graph.Value) -> Forward {
    Forward(any: { [try run($0, $1)] })
  }

  /// The children one after the other, by their names.
  public static func chain(_ names: String...) -> Forward { Forward { try $0.chain($1, names) } }

  /// All children in order, as Sequential.
  public static let sequential = lists { call, inputs in
    try call.module.children.keys.reduce(inputs) { try call.call($1, $0) }
  }

  /// The module's own layer: a subclass that changes nothing of its base's forward.
  public static let ownLayer = lists { call, inputs in try call.compute(call.module.layer, inputs) }

  // MARK: Training

  /// In training another forward.
  public func training(_ other: Forward) -> Forward {
    var forward = self
    forward.trainingRun = other.run
    return forward
  }

  /// In training another forward, of several tensors to several.
  public func training(_ run: @escaping Run) -> Forward { training(.lists(run)) }

  /// What it does in training is not known.
  public var inferenceOnly: Forward {
    var forward = self
    forward.trainingRun = nil
    return forward
  }

  /// Children that do not run in evaluation.
  public func leaving(_ children: String...) -> Forward {
    var forward = self
    forward.idleChildren.formUnion(children)
    return forward
  }

  /// Children that do not run in training.
  public func leavingInTraining(_ children: String...) -> Forward {
    var forward = self
    forward.idleInTraining.formUnion(children)
    return forward
  }
}

// MARK: - Finding them

extension Forward {
  /// Teaches the library what the forward of classes does: `Graph`, `modelInfo`, `fuse` and all that stands on graphs
  /// then know them, in this process.
  ///
  ///     Forward.register(["mynet.Block": Forward { block, x in try block.add(x, block(x, "conv", "bn", "act")) }])
  ///
  /// Names are paths under which classes are pickled, or ends of them: `models.Block` serves `mynet.models.Block` too. What
  /// is registered goes before what the library knows, and replaces what was registered by the same name; the layers of
  /// `torch.nn` cannot be replaced.
  public static func register(_ forwards: [String: Forward]) {
    registered.withLock { $0.merge(forwards) { _, new in new } }
  }

  /// The forward of a class by the path under which it is pickled, or by the end of that path (`models.common.Conv` is
  /// found for `yolov5.models.common.Conv`); a method that stands in for `forward` behind it
  /// (`models.common.Conv.forward_fuse`).
  static func known(_ className: ClassName, method: String? = nil) -> Forward? {
    let suffix = method.map { ".\($0)" } ?? ""
    return registered.withLock { $0.isEmpty ? nil : entry(in: $0, className.description, suffix) }
      ?? entry(in: all, className.inTimm.description, suffix)
  }

  private static func entry(in forwards: [String: Forward], _ className: String, _ suffix: String) -> Forward? {
    var path = Substring(className)
    while true {
      if let forward = forwards[suffix.isEmpty ? String(path) : path + suffix] { return forward }
      guard let dot = path.firstIndex(of: ".") else { return nil }
      path = path[path.index(after: dot)...]
    }
  }

  /// Whether a method is known to be the forward of a class's fused state.
  package static func isKnown(_ method: String, of className: ClassName) -> Bool {
    known(className, method: method) != nil
  }

  private static let registered = Mutex<[String: Forward]>([:])

  private static let all: [String: Forward] =
    (torchvision + timm + [
      yolov5Blocks, yolov5Heads, yoloModels, wrappers, ultralyticsConvolutions, ultralyticsBlocks, ultralyticsAttention,
      ultralyticsTransformers, ultralyticsDeformable, ultralyticsHeads, ultralyticsRTDETR,
      ultralyticsTextModels, ultralyticsTextBlocks, yolov6Blocks, yolov6Models, yolov6Heads, yolov6Lite, yolov7Blocks,
      yolov9Blocks, yolov9Heads, yolox, repVGG, mobileOne, torchTransformers, traced,
    ])
    .reduce(into: [:]) { all, family in all.merge(family) { first, _ in first } }
}
