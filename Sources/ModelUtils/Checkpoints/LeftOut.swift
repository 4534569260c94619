import ModelCore

extension Checkpoint {
  /// What the preferred model's tensors leave out of a PyTorch file: entries of its state dict that are no tensors
  /// (numbers, `_extra_state`), parameters without a shape, tensors and other models beside it, the constants of a
  /// TorchScript archive.
  public var leftOut: [String] {
    guard let torch else {
      return scriptConstants == 0 ? [] : ["\(scriptConstants) constants of the code"]
    }
    let beside = (torch.places[preferredKey]?.path ?? []).enumerated().flatMap { depth, holder in
      let path = torch.places[preferredKey]?.path[..<depth].map { $0.key + "." }.joined() ?? ""
      return (torch.graph.dictionary(holder.dictionary) ?? [:]).filter { torch.graph.isWeight($0.value) }
        .map { path + $0.key }
    }
    let missing = preferred.module == nil ? [] : uninitialized
    return (torch.leftOut[preferredKey] ?? []).map(\.name) + missing + beside + keys.dropFirst()
  }

  /// The names of the preferred model's parameters and buffers that have no shape yet, as lazy layers have them before
  /// their first run.
  public var uninitialized: [String] { torch?.uninitialized[preferredKey] ?? [] }

  /// Whether a module was saved as torch.compile wraps it: the module inside is read and written.
  public var isUnwrapped: Bool { (torch?.graph.compiledModules ?? 0) > 0 }

  /// - Throws: `ModelError` where the preferred model has weights that its tensors leave out.
  func refuseLostWeights() throws {
    let advice = "a PyTorch file, written whole, keeps them"
    if let entry = torch?.leftOut[preferredKey]?.first(where: \.isWeight) {
      throw ModelError(
        .unsupported, "holds tensors in a form that is not read (quantized layers pack theirs), and would be lost",
        file: name, subject: entry.name, advice: advice)
    }
    if torch == nil, scriptConstants > 0, preferred.stateDict().isEmpty {
      throw ModelError(
        .unsupported, "is a frozen TorchScript archive: its weights are constants of its code, and would be lost",
        file: name, advice: "save the module before freezing it")
    }
    var quantized: (path: String, className: ClassName)?
    preferred.module?.forEachModule { path, module in
      if quantized == nil, Self.isQuantized(module.className) { quantized = (path, module.className) }
    }
    if let quantized {
      throw ModelError(
        .unsupported, "is a \(quantized.className), whose packed weights are not read and would be lost", file: name,
        subject: quantized.path, advice: advice)
    }
  }

  private static func isQuantized(_ name: ClassName) -> Bool {
    let module = "." + name.module + "."
    return module.hasPrefix(".torch.") && module.contains(".quantized.")
      && ["Linear", "Conv", "LSTM", "GRU", "RNN", "Embedding", "LinearPackedParams"].contains { name.name.contains($0) }
  }
}
