/// Copies plain attributes from one module to another: YOLOv5's `copy_attr`.
///
/// Every attribute of `source` is copied whose name does not start with `_`, is in `include` unless that is empty, and
/// is not in `exclude`; `training` is one of them, as in the original. Parameters, buffers and children stay. An
/// attribute that is not understood (an object of an unknown class) cannot be copied and is left as it is, where the
/// original copies the reference.
/// - Returns: the names that were copied.
@discardableResult
public func copyAttributes(
  from source: Module, to target: inout Module, include: Set<String> = [], exclude: Set<String> = []
) -> [String] {
  func isChosen(_ name: String) -> Bool {
    !name.hasPrefix("_") && (include.isEmpty || include.contains(name)) && !exclude.contains(name)
  }
  var copied: [String] = []
  if isChosen("training") {
    target.isTraining = source.isTraining
    copied.append("training")
  }
  for (name, value) in source.attributes where isChosen(name) && !value.isOpaque {
    target.attributes[name] = value
    copied.append(name)
  }
  return copied
}

extension Attribute {
  /// Whether any part of it is not understood.
  fileprivate var isOpaque: Bool {
    switch self {
    case .opaque: true
    case .list(let items), .tuple(let items), .set(let items), .frozenSet(let items): items.contains(where: \.isOpaque)
    case .dict(let entries), .orderedDict(let entries): entries.contains { $0.key.isOpaque || $0.value.isOpaque }
    default: false
    }
  }
}
