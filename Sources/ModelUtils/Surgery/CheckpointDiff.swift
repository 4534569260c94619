import ModelCheckpoints
import ModelCore

extension StateDictDiff {
  /// Compares all tensors that two files hold: their models by key, and what stands beside them, such as an optimizer's
  /// tensors.
  ///
  /// Where a file holds several models their keys stand before the names (`ema.conv.weight`). A file that can hold one
  /// model only (safetensors, a bare state dict, a whole module, TorchScript) is compared with the preferred one of the
  /// other, and so are two files with no key in common; what else the other holds is then listed in `notCompared`.
  /// - Parameter tolerance: as for two state dicts.
  /// - Throws: `ModelError` when elements cannot be read.
  public init(_ first: Checkpoint, _ second: Checkpoint, tolerance: Double? = nil) throws {
    var (a, b) = (StateDict(), StateDict())
    var notCompared: [String] = []
    let others = (first.otherTensors(), second.otherTensors())
    let common = first.models.keys.filter { second.models[$0] != nil }
    if common.isEmpty {
      (a, b) = (first.preferred.stateDict(), second.preferred.stateDict())
      for file in [first, second] {
        notCompared += file.models.keys.dropFirst().map { "the model '\($0)' of \(file.name)" }
      }
    } else {
      let prefixes = Set(first.models.keys).union(second.models.keys).count > 1
      for (file, isFirst) in [(first, true), (second, false)] {
        for (key, model) in file.models {
          for (name, tensor) in model.stateDict().tensors {
            let name = prefixes ? key + "." + name : name
            if isFirst { a[name] = tensor } else { b[name] = tensor }
          }
        }
      }
    }
    if !common.isEmpty, first.isLike(second) {
      for (name, tensor) in others.0.tensors.tensors { a[Self.free(name, a)] = tensor }
      for (name, tensor) in others.1.tensors.tensors { b[Self.free(name, b)] = tensor }
    } else {
      for (file, other) in [(first, others.0), (second, others.1)] where !other.tensors.isEmpty {
        notCompared.append("\(other.tensors.count) tensors beside the models of \(file.name)")
      }
    }
    for (file, other) in [(first, others.0), (second, others.1)] where !other.unread.isEmpty {
      notCompared.append("\(other.unread.count) tensors of \(file.name) of a kind that is not read")
    }
    for (file, other) in [(first, others.0), (second, others.1)] {
      let names = file.leftOut.filter { a[$0] == nil && b[$0] == nil && other.tensors[$0] == nil }
      if !names.isEmpty {
        let list = names.prefix(8).joined(separator: ", ")
        notCompared.append("\(names.count) entries of \(file.name) that are no tensors: \(list)")
      }
    }
    try self.init(a, b, tolerance: tolerance)
    self.notCompared = notCompared
    besideTensors = Self.entries(first, second) + Self.attributes(first.preferred.module, second.preferred.module)
  }

  /// Which plain entries differ, where both files have entries.
  private static func entries(_ first: Checkpoint, _ second: Checkpoint) -> [String] {
    guard first.hasEntries, second.hasEntries else { return [] }
    let (a, b) = (first.plainEntries, second.plainEntries)
    return OrderedSet(Array(a.keys) + Array(b.keys)).compactMap { key in
      let (one, other) = (a[key].flatMap(text), b[key].flatMap(text))
      return one == other ? nil : "'\(key)' is \(one ?? "not there") and \(other ?? "not there")"
    }
  }

  /// A number, text, bool or None, or a list of such; nil for what cannot be compared as text.
  private static func text(_ value: Attribute) -> String? {
    switch value {
    case .none: "None"
    case .bool(let flag): flag ? "True" : "False"
    case .int(let number): "\(number)"
    case .double(let number): "\(number)"
    case .string(let text): "'\(text)'"
    case .list(let items), .tuple(let items):
      items.allSatisfy { text($0) != nil } ? "[\(items.compactMap(text).joined(separator: ", "))]" : nil
    default: nil
    }
  }

  /// How many modules have other attributes, and the first one.
  private static func attributes(_ first: Module?, _ second: Module?) -> [String] {
    guard let first, let second else { return [] }
    var (count, example) = (0, "")
    first.forEachModule { path, module in
      guard let other = second[path], other.className == module.className else { return }
      let names = module.attributes.keys.filter { name in
        guard let one = module.attributes[name].flatMap(text), let two = other.attributes[name].flatMap(text) else {
          return false
        }
        return one != two
      }
      guard let name = names.first else { return }
      count += 1
      if example.isEmpty {
        let values = [module, other].map { $0.attributes[name].flatMap(text)?.prefix(60) ?? "" }
        example = "'\(name)' of '\(path)', \(values[0]) and \(values[1])"
      }
    }
    return count == 0 ? [] : ["\(count) modules have other attributes, the first \(example)"]
  }

  /// A name that no tensor of a model bears.
  private static func free(_ name: String, _ state: StateDict) -> String {
    state[name] == nil ? name : free(name + "'", state)
  }
}

extension Checkpoint {
  /// Whether both files can hold the same beside their models: both are dicts of PyTorch's or both are not, of whole
  /// modules or of state dicts.
  fileprivate func isLike(_ other: Checkpoint) -> Bool {
    let formats: [Format] = [.torch, .torchLegacy]
    return formats.contains(format) && formats.contains(other.format) && hasEntries == other.hasEntries
      && (preferred.module == nil) == (other.preferred.module == nil)
  }
}
