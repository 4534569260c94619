import ModelCore

extension StateDict {
  /// The names as torchvision reads them: files from its first years, its own DenseNets among them, call a layer
  /// `denselayer1.norm.1.weight` that is `denselayer1.norm1.weight` today.
  package func withoutOlderNames() -> StateDict {
    guard names.contains(where: { Self.nameToday($0) != $0 }) else { return self }
    var tensors: OrderedDictionary<String, Tensor> = [:]
    for (name, tensor) in self.tensors {
      let new = Self.nameToday(name)
      // A file that has both keeps both, which no architecture has.
      tensors[tensors[new] == nil ? new : name] = tensor
    }
    return StateDict(tensors, metadata: metadata)
  }

  /// The name that a tensor of such a file has today.
  static func nameToday(_ name: String) -> String {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 4 else { return name }
    let (block, kind, number) = (parts[parts.count - 4], parts[parts.count - 3], parts[parts.count - 2])
    guard number == "1" || number == "2", ["norm", "relu", "conv"].contains(kind),
      let digits = block.firstRange(of: "denselayer").map({ block[$0.upperBound...] }), Int(digits) != nil
    else { return name }
    return (parts.dropLast(3) + [kind + number] + parts.suffix(1)).joined(separator: ".")
  }
}
