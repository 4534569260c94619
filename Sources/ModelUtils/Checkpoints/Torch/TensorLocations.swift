import ModelCore

/// The devices that the tensors of a file are said to be saved from, and go back to when they are loaded.
extension PickleGraph {
  static let cpu = "cpu"

  /// The device of a tensor or parameter; nil for any other object, and for a tensor without a storage.
  func location(ofTensor reference: Reference) -> String? {
    var reference = reference
    for _ in 0..<8 {
      switch nodes[reference] {
      case .tensor(let index): return tensors[index].location
      case .storage(let index): return storages[index].location
      case .call(let index):
        guard isTensor(reference), var arguments = tuple(calls[index].arguments) else { return nil }
        // A tensor with attributes of its own is made by another function, whose arguments are the third.
        let isWrapped = className(calls[index].callable)?.name.hasPrefix("_rebuild_from_type") ?? false
        if isWrapped {
          guard arguments.count > 2, let parts = tuple(arguments[2]) else { return nil }
          arguments = parts
        }
        guard let first = arguments.first else { return nil }
        reference = first
      default: return nil
      }
    }
    return nil
  }

  /// The device of the first tensor in a dict.
  func location(ofDictionary reference: Reference) -> String? {
    for entry in entries(reference) ?? [] {
      if let location = location(ofTensor: entry.value) { return location }
    }
    return nil
  }

  /// The device of the first tensor in a module or below it.
  func location(ofModule reference: Reference) -> String? {
    var pending = [reference]
    var seen: Set<Reference> = [reference]
    while let module = pending.popLast() {
      guard let state = stateDictionary(module) else { continue }
      func part(_ name: String) -> [Entry] { value(forKey: name, of: state).flatMap { entries($0) } ?? [] }
      for entry in part("_parameters") + part("_buffers") {
        if let location = location(ofTensor: entry.value) { return location }
      }
      for entry in part("_modules").reversed() where seen.insert(entry.value).inserted { pending.append(entry.value) }
    }
    return nil
  }

  /// Says of every tensor that it was saved from the processor, as loading with `map_location="cpu"` and saving does.
  mutating func moveToCPU() {
    for index in storages.indices { storages[index].location = Self.cpu }
    for index in tensors.indices { tensors[index].location = Self.cpu }
  }
}
