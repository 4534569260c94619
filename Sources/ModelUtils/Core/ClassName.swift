/// The Python class of a pickled object: `torch.nn.modules.conv` and `Conv2d`.
public struct ClassName: Hashable, Sendable, CustomStringConvertible {
  public let module: String
  public let name: String

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

  /// Whether it is one of PyTorch's own modules, whose meaning is known exactly.
  public var isTorchModule: Bool { module.hasPrefix("torch.nn.modules.") }
}
