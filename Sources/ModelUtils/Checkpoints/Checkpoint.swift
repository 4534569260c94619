import Logging
import ModelCore
import SystemPackage

/// A file of weights: read without executing anything, changed in memory, written back with everything else as it was.
///
///     var checkpoint = try Checkpoint(contentsOf: "yolov5s.pt")
///     try checkpoint.updateModels { key, model in … }
///     try checkpoint.write(to: "fused.pt")
public struct Checkpoint: Sendable {
  /// What kind of file it is, by its content.
  public enum Format: String, Sendable, Codable {
    /// PyTorch's zip archive (`torch`) or older file (`torchLegacy`), TorchScript, safetensors, an index of shards, or an
    /// ONNX model, whose weights are a state dict here (see `onnx`).
    case torch, torchLegacy, torchScript, safetensors, sharded, onnx
  }

  /// Which of the models in a file are read.
  public enum Extent: Sendable {
    /// All of them.
    case all
    /// The preferred one: half the work where a file has two, for what looks at it alone.
    case preferred
  }

  /// The file's name as it was given.
  public let name: String
  /// What kind of file it is; `torch` where no file holds it yet.
  public let format: Format
  /// The models in the file by their key (`ema`, `model`, …; empty where the file is the model), the preferred one
  /// first; it alone where no other was to be read.
  public internal(set) var models: OrderedDictionary<String, Model>
  /// The keys of the models in the file that were not to be read.
  private(set) var unread: [String] = []
  var torch: TorchSource?
  /// The ONNX model that the file is, with its weights as they were read.
  public private(set) var onnx: ONNXModel?
  /// The weights of the ONNX model as they stand in it.
  private(set) var onnxState = StateDict()
  /// What stands beside the tensors of a safetensors file whose metadata describe the module that the model is.
  private var metadataBesideModule: [String: String] = [:]
  /// How many tensors the code of a TorchScript archive keeps as constants.
  var scriptConstants = 0
  /// The members of a PyTorch file's zip archive that are none of PyTorch's: they are not written again.
  public private(set) var addedMembers: [String] = []

  /// What is needed to write a PyTorch file back as it was.
  struct TorchSource {
    var graph: PickleGraph
    var places: [String: ModelSelection.Place]
    var modules: [PickleGraph.Reference: Module]
    var stateDicts: [PickleGraph.Reference: StateDict]
    /// What is no tensor in the state dicts, by the key of each.
    var leftOut: [String: [ModelSelection.LeftOut]] = [:]
    /// The parameters without a shape of each model, by its key.
    var uninitialized: [String: [String]] = [:]
    /// The keys of the modules that were made of a state dict and its record, and are written as such.
    var recorded: Set<String> = []
    /// Whether the model was chosen by its key, not by rule.
    var isChosen = false
  }

  /// Reads a file; its content decides the format.
  /// - Parameter key: which of the objects in a PyTorch file is the model, as `a` or `a.b`; by rule when nil (`ema`
  ///   before `model` before `state_dict` …).
  /// - Parameter extent: whether the models beside it are read too. They stay as they are in the file where they are not.
  /// - Throws: `ModelError` for what cannot be read, is malformed or holds no model.
  public init(contentsOf location: some FileLocation, key: String? = nil, reading extent: Extent = .all) throws {
    try self.init(try OtherFormat.open(location), path: location.filePath, key: key, extent)
  }

  /// Reads bytes that are in memory or mapped. An index of shards is refused: it does not say where they are.
  /// - Throws: as `init(contentsOf:)`.
  public init(_ file: FileBytes, key: String? = nil, reading extent: Extent = .all) throws {
    try self.init(file, path: nil, key: key, extent)
  }

  private init(_ file: FileBytes, path: FilePath?, key: String?, _ extent: Extent) throws {
    do {
      try self.init(reading: file, path: path, key: key, extent)
      for case .stateDict(let state) in models.values { try state.checkNames() }
      ModelLog.logger.debug("\(name): format \(format.rawValue), models '\(keys.joined(separator: "', '"))'")
    } catch let error as ModelError {
      throw error.inFile(file.name)
    }
  }

  private init(reading file: FileBytes, path: FilePath?, key: String?, _ extent: Extent) throws {
    name = file.name
    guard file.count > 0 else { throw ModelError(.malformed, "is empty") }
    if SafeTensors.recognizesIndex(file) {
      guard let path else {
        throw ModelError(.invalid, "an index of shards in memory does not say where the shards are")
      }
      let state = try SafeTensors.readSharded(index: file, path: path) { shard in
        let file = try FileBytes(mapping: shard)
        guard !SafeTensors.recognizesIndex(file) else {
          throw ModelError(.malformed, "is an index itself, not a shard", file: file.name)
        }
        return try Checkpoint(file).preferred.stateDict()
      }
      (format, models) = (.sharded, [:])
      take(state)
    } else if SafeTensors.recognizes(file) {
      guard !ZipArchive.recognizes(file), !PickleAudit.beginsWithPickle(file) else {
        throw ModelError(
          .unsafe, "is a safetensors file, and a zip archive or pickle as well, in which PyTorch would read another")
      }
      (format, models) = (.safetensors, [:])
      take(try SafeTensors.read(file))
    } else if ONNXModel.isONNX(file, path) {
      let model = try ONNXModel(file, folder: path.map { ExternalFolder(of: $0) })
      (format, models) = (.onnx, [:])
      try take(model)
    } else {
      if let refusal = OtherFormat.refusal(of: file) { throw refusal }
      guard ZipArchive.recognizes(file) || !TarHeader.stands(at: file) else { throw TarHeader.refusal(of: file) }
      let torch = try TorchFile(file)
      switch torch.format {
      case .torchScript:
        guard key == nil else { throw ModelError(.invalid, "a TorchScript archive has no keys to choose from") }
        format = .torchScript
        scriptConstants = torch.constantCount
        models = ["": .stateDict(try ModelSelection(torch.graph).scriptStateDict(torch.scriptParameters))]
      case .zip, .legacy:
        format = torch.format == .zip ? .torch : .torchLegacy
        addedMembers = torch.addedMembers
        models = [:]
        try read(torch.graph, key: key, extent)
      }
      return
    }
    guard key == nil else { throw ModelError(.invalid, "only PyTorch files have keys to choose from") }
  }

  private mutating func read(_ graph: PickleGraph, key: String?, _ extent: Extent) throws {
    var selection = ModelSelection(graph)
    var reader = ModuleReader(graph)
    var source = TorchSource(graph: graph, places: [:], modules: [:], stateDicts: [:], isChosen: key != nil)
    var places = try selection.models(key: key)
    if extent == .preferred, let first = places.first {
      unread = places.dropFirst().map(\.key)
      places = [first]
    }
    for place in places {
      if place.isModule {
        reader.uninitialized = []
        models[place.key] = .module(try reader.read(place.reference))
        source.uninitialized[place.key] = reader.uninitialized
      } else {
        let (state, leftOut) = try selection.stateDict(place.reference)
        source.leftOut[place.key] = leftOut
        source.uninitialized[place.key] = leftOut.filter(\.isUninitialized).map(\.name)
        source.stateDicts[place.reference] = state
        if let text = graph.moduleRecord(of: place.reference), let module = module(of: state, text) {
          models[place.key] = .module(module)
          source.recorded.insert(place.key)
        } else {
          models[place.key] = .stateDict(state)
        }
      }
      source.places[place.key] = place
    }
    source.modules = reader.modules
    torch = source
  }

  /// Takes the tensors of safetensors files, as the module that their metadata describe where they do.
  private mutating func take(_ state: StateDict) {
    var state = state
    let text = state.metadata?.removeValue(forKey: ModuleRecord.key)
    if let text, let module = module(of: state, text) {
      metadataBesideModule = state.metadata ?? [:]
      models = ["": .module(module)]
    } else {
      models = ["": .stateDict(state)]
    }
  }

  /// A module by its record; nil, with a warning, where the tensors are no longer those of which the record speaks.
  private func module(of state: StateDict, _ text: String) -> Module? {
    do { return try ModuleRecord.module(text, tensors: state) } catch {
      ModelLog.logger.warning(
        "\(name): the description of its modules does not go with its tensors and is left aside: \(error)")
      return nil
    }
  }

  /// Text beside the tensors of a safetensors file; empty for any other. What describes the modules is not among it.
  public var metadata: [String: String] {
    get { preferred.module == nil ? preferred.stateDict().metadata ?? [:] : metadataBesideModule }
    set {
      if case .stateDict(var state) = preferred {
        state.metadata = newValue
        preferred = .stateDict(state)
      } else {
        metadataBesideModule = newValue
      }
    }
  }

  private mutating func take(_ model: ONNXModel) throws {
    onnx = model
    onnxState = try model.stateDict()
    models = ["": .stateDict(onnxState)]
  }

  /// Changes the ONNX model that the file is, and with it the weights; does nothing for any other file.
  /// - Throws: what the body throws, and `ModelError` for weights that cannot be read.
  public mutating func updateONNX<R>(_ body: (inout ONNXModel) throws -> R) throws -> R? {
    guard onnx != nil else { return nil }
    var model = try updatedONNX()
    let result = try body(&model)
    try take(model)
    return result
  }

  /// The keys of all models in the file, the preferred one's first.
  public var keys: [String] { models.keys + unread }

  /// The key of the preferred model.
  public var preferredKey: String { models.keys.first ?? "" }

  /// The preferred model: `ema` where there is one. Setting it lets another model take its place in the file.
  public var preferred: Model {
    get { models.values.first ?? .stateDict(StateDict()) }
    _modify {
      if models.isEmpty { models[""] = .stateDict(StateDict()) }
      yield &models.values[0]
    }
  }

  /// Changes every model in the file.
  public mutating func updateModels(_ body: (String, inout Model) throws -> Void) rethrows {
    for index in models.values.indices {
      let key = models.keys[index]
      try body(key, &models.values[index])
    }
  }
}
