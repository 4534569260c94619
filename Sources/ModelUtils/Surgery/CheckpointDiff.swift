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
