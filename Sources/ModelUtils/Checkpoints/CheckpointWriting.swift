import ModelCore
import SystemPackage

extension Checkpoint {
  /// The formats that can be written; the extension of a path picks one.
  public enum OutputFormat: String, Sendable, Codable {
    /// PyTorch's zip archive, safetensors, or an ONNX model.
    case torch, safetensors, onnx

    /// The extensions that people give what `torch.save` writes (`.pth.tar` is no tar file).
    public static let torchExtensions = ["pt", "pth", "bin", "ckpt", "tar", "pkl", "th", "pyth"]

    /// The format that an extension names: one of `torchExtensions`, `safetensors` or `onnx`.
    /// - Throws: `ModelError` for any other extension.
    public init(of location: some FileLocation) throws(ModelError) {
      let path = try location.filePath
      let ending = path.extension?.lowercased() ?? ""
      guard Self.torchExtensions.contains(ending) || ["safetensors", "onnx"].contains(ending) else {
        throw ModelError(
          .unsupported,
          "its extension names no format that can be written", file: path.string,
          advice: "use .pt, .pth, .pth.tar, .bin, .ckpt, .safetensors or .onnx")
      }
      self = Self(rawValue: ending) ?? .torch
    }
  }

  /// The preferred model's tensors as a safetensors file gets them: with the metadata `format: pt`, which transformers
  /// asks for, unless there is a `format` already, and a whole module with `mutils.module`, which describes it, so that
  /// it is one again when the file is read. What was read from a safetensors file has that file's metadata and no more.
  /// - Throws: `ModelError` for a module's attributes that cannot be read.
  public func safeTensorsState() throws -> StateDict {
    var state = preferred.stateDict()
    var metadata = metadata
    if format != .safetensors { metadata["format"] = metadata["format"] ?? "pt" }
    metadata[ModuleRecord.key] = try moduleRecord()
    for (name, text) in entriesAsText where metadata[name] == nil { metadata[name] = text }
    state.metadata = metadata.isEmpty && state.metadata == nil ? nil : metadata
    return state
  }

  /// The names of a classifier's classes and the size of its pictures, which stand beside the weights that a training run
  /// leaves, in JSON.
  private var entriesAsText: [String: String] {
    var texts: [String: String] = [:]
    for name in ["names", "image_size"] {
      guard case .list(let items)? = contents(of: name) else { continue }
      var json = JSONWriter()
      json.openArray()
      for item in items {
        json.element()
        if let text = item.stringValue {
          json.value(text)
        } else if let number = item.intValue {
          json.value(number)
        } else {
          break
        }
      }
      json.closeArray()
      if items.allSatisfy({ $0.stringValue != nil || $0.intValue != nil }) {
        texts[name] = String(decoding: json.bytes, as: UTF8.self)
      }
    }
    return texts
  }

  private func moduleRecord() throws -> String? {
    try preferred.module.flatMap { module in
      do { return try ModuleRecord.text(of: module, source: name) } catch let error as ModelError {
        throw error.inFile(name)
      }
    }
  }

  /// Writes the checkpoint; a file that exists is replaced only when the new one is complete.
  ///
  /// A PyTorch file stays what it was, whole modules and all other objects included, with the changed models in it. As
  /// safetensors, and with `stateDictOnly`, the preferred model's tensors alone are written. As ONNX only what was read
  /// from an ONNX model can be written, the changed weights in their places.
  /// - Parameter maxShardSize: the most bytes of a shard, for safetensors; nil writes one file.
  /// - Returns: the number of bytes written.
  /// - Throws: `ModelError` when the place cannot be written, when the tensors alone would lack weights that the file has
  ///   (of quantized layers, in the constants of TorchScript), or when loading the file in Python would call what is not
  ///   known to make data and nothing else.
  @discardableResult
  public func write(
    to location: some FileLocation, stateDictOnly: Bool = false, maxShardSize: Int? = nil
  ) throws -> Int {
    let path = try location.filePath
    let open = { try AtomicFile(replacing: path, expectedSize: $0) }
    switch try OutputFormat(of: path) {
    case .onnx: return try updatedONNX().write(to: path)
    case .torch: return try writeTorch(folder: path.stem ?? "archive", stateDictOnly: stateDictOnly, open: open)
    case .safetensors:
      try refuseLostWeights()
      let state = try safeTensorsState()
      guard let maxShardSize else { return try SafeTensors.write(state, name: path.string, open: open) }
      return try SafeTensors.writeSharded(state, to: path, maxShardSize: maxShardSize)
    }
  }

  /// Writes the checkpoint into a pipe or the like, as `write` does into a file; an ONNX model with all weights in it.
  /// - Parameter name: of the stream, for messages.
  /// - Returns: the number of bytes written.
  /// - Throws: as for a file. What was written before stays written.
  @discardableResult
  public func write(
    to stream: FileDescriptor, name: String, format: OutputFormat, stateDictOnly: Bool = false
  ) throws -> Int {
    let open = { (_: Int) in StreamedFile(stream, name: name) }
    switch format {
    case .onnx: return try updatedONNX().write(to: stream, name: name)
    case .torch: return try writeTorch(folder: "archive", stateDictOnly: stateDictOnly, open: open)
    case .safetensors:
      try refuseLostWeights()
      return try SafeTensors.write(safeTensorsState(), name: name, open: open)
    }
  }

  /// - Parameters:
  ///   - folder: in which the members of the archive stand.
  ///   - open: begins the file, of which it is told about the size.
  private func writeTorch(folder: String, stateDictOnly: Bool, open: (Int) throws -> any ByteSink) throws -> Int {
    do { for model in models.values { try model.stateDict().checkTorchTypes() } } catch let error as ModelError {
      throw error.inFile(name)
    }
    guard let torch, !stateDictOnly else {
      try refuseLostWeights()
      let versions = preferred.module?.stateDictVersions ?? [:]
      let graph = try preferred.stateDict().pickled(versions: versions, record: moduleRecord())
      return try TorchWriter.write(graph, folder: folder, open: open)
    }
    let graph = try updatedGraph(torch)
    if let effect = graph.dangerousEffect() {
      throw ModelError(
        .unsafe,
        "loading it in Python would call \(effect.printable(limit: 200)), so it is not written again", file: name,
        advice: "write the tensors alone, with --state-dict or as .safetensors")
    }
    return try TorchWriter.write(graph, folder: folder, open: open)
  }

  /// The ONNX model with its weights as they are now.
  /// - Throws: `ModelError` where it came from no ONNX model, and for weights that are no longer of the type and shape
  ///   that its nodes take.
  public func updatedONNX() throws -> ONNXModel {
    guard var model = onnx else {
      throw ModelError(
        .unsupported, "is no ONNX model, so it cannot be written as one", file: name,
        advice: "export it with mutils convert")
    }
    let state = preferred.stateDict()
    var changed: [String: Tensor] = [:]
    for (name, original) in onnxState {
      guard let tensor = state[name] else {
        throw ModelError(.missing, "is a weight that nodes take, and is gone", file: self.name, subject: name)
      }
      guard tensor.dtype == original.dtype, tensor.shape == original.shape else {
        throw ModelError(
          .mismatch,
          "is \(tensor.dtype.rawValue) \(tensor.shape) where nodes take \(original.dtype.rawValue) \(original.shape)",
          file: self.name, subject: name)
      }
      if tensor.identity != original.identity { changed[name] = tensor }
    }
    try model.setConstants(changed)
    return model
  }

  /// The file's objects with the models as they are now: each in its place, whatever stood there.
  private func updatedGraph(_ source: TorchSource) throws -> PickleGraph {
    var new: [String: PickleGraph.Reference] = [:]
    var modules = ModuleUpdate(source.graph, origins: source.modules)
    for (key, model) in models {
      guard case .module(let module) = model, let place = source.places[key], !source.recorded.contains(key) else {
        continue
      }
      do {
        new[key] = try modules.write(module, like: place.isModule ? place.reference : nil, path: "")
      } catch let error as ModelError { throw error.inFile(name) }
    }
    var graph = modules.graph
    var states = StateDictUpdate()
    for (key, model) in models {
      guard let place = source.places[key], model.module == nil || source.recorded.contains(key) else { continue }
      let state = model.stateDict()
      if let original = source.stateDicts[place.reference] {
        states.apply(state, original: original, at: place.reference, in: &graph)
      } else {
        let reference = graph.addStateDict(versions: [:])
        states.apply(state, original: StateDict(), at: reference, in: &graph)
        new[key] = reference
      }
      if let module = model.module {
        graph.setModuleRecord(try ModuleRecord.text(of: module, source: name), of: new[key] ?? place.reference)
      } else if source.recorded.contains(key) {
        graph.setModuleRecord(nil, of: place.reference)
      }
    }
    for (key, reference) in new where reference != source.places[key]?.reference {
      if let holder = source.places[key]?.holder {
        graph.put(reference, at: holder)
      } else {
        graph.root = reference
      }
    }
    return graph
  }
}

extension StateDict {
  /// Writes the tensors as a state dict that `torch.load(weights_only=True)` takes.
  /// - Returns: the number of bytes written.
  /// - Throws: `ModelError` when the place cannot be written, or when loading the file in Python would run commands or
  ///   code.
  @discardableResult
  public func writeTorch(to location: some FileLocation) throws -> Int {
    try TorchWriter.write(pickled(versions: [:], record: nil), to: location.filePath)
  }

  /// - Throws: `ModelError` that names a tensor of a type that PyTorch does not have.
  fileprivate func checkTorchTypes() throws {
    for (name, tensor) in tensors {
      do { try TorchTypes.check(tensor) } catch let error as ModelError { throw error.about(name) }
    }
  }

  /// - Parameters:
  ///   - versions: of a module's classes, which PyTorch notes beside the tensors.
  ///   - record: what describes the module whose tensors these are.
  fileprivate func pickled(versions: OrderedDictionary<String, Int>, record: String?) throws -> PickleGraph {
    try checkTorchTypes()
    var graph = PickleGraph()
    graph.root = graph.addStateDict(versions: versions)
    graph.setModuleRecord(record, of: graph.root)
    var update = StateDictUpdate()
    update.apply(self, original: StateDict(), at: graph.root, in: &graph)
    return graph
  }
}
