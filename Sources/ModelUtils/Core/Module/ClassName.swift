/// The Python class of a pickled object: `torch.nn.modules.conv` and `Conv2d`.
public struct ClassName: Hashable, Sendable, CustomStringConvertible {
  /// The module's dotted path, such as `torch.nn.modules.conv`; empty where there is none.
  public let module: String
  /// The class's own name, such as `Conv2d`.
  public let name: String

  /// A class by its module's path and its own name.
  public init(_ module: String, _ name: String) {
    self.module = module
    self.name = name
  }

  public var description: String { module.isEmpty ? name : "\(module).\(name)" }

  /// Whether the path ends with `suffix` at a dot, so that `yolov5.models.common.Conv` matches `models.common.Conv`.
  public func hasSuffix(_ suffix: String) -> Bool {
    let path = description
    return path == suffix || path.hasSuffix("." + suffix)
  }

  /// The class under the path that timm 1.0 gives it; itself where it is none of timm's.
  package var inTimm: ClassName {
    guard module.hasPrefix("timm.models.") else { return self }
    for (old, new) in [
      ("timm.models.layers.", "timm.layers."), ("timm.models.efficientnet_", "timm.models._efficientnet_"),
    ] where module.hasPrefix(old) { return ClassName(new + module.dropFirst(old.count), name) }
    return self
  }

  /// Whether it is one of PyTorch's own modules, whose meaning is known exactly.
  public var isTorchModule: Bool { module.hasPrefix("torch.nn.modules.") }
}
