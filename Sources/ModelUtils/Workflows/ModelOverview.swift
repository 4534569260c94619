import ModelCheckpoints
import ModelCore
import ModelInspection

/// What a person wants to know of a model first, beside `ModelInfo`'s counts. Reads no values.
public struct ModelOverview: Sendable, Encodable {
  /// The tensors of one element type.
  public struct TypeShare: Sendable, Codable, Hashable {
    /// The type's name.
    public let dtype: String
    /// How many tensors are of it.
    public let tensors: Int
    /// How many bytes they have.
    public let bytes: Int
  }

  /// Bytes of float32 for one pass, each tensor kept until its end.
  public struct Memory: Sendable, Codable, Hashable {
    /// Of all parameters.
    public let parameters: Int
    /// Of what the model takes.
    public let input: Int
    /// Of the largest tensor that it computes, and of all of them; nil where that is not known.
    public let largestActivation: Int?, activations: Int?
  }

  /// A module and its share of the multiplications.
  public struct Heavy: Sendable, Codable, Hashable {
    /// Its dotted path.
    public let name: String
    /// Multiplications in its own convolutions and products.
    public let macs: Double
    /// Of all.
    public let share: Double
  }

  /// The file's format.
  public let format: Checkpoint.Format
  /// The key of the model, and those of all models in the file.
  public let key: String, keys: [String]
  /// The model's class; nil for a bare state dict.
  public let className: String?
  /// What it is for, in Ultralytics' words; nil where that is not known.
  public let task: String?
  /// How many classes it tells apart, and what they are called; nil where that is not known.
  public let classes: Int?, classNames: [String]?
  /// Of a detector's levels, in pixels.
  public let strides: [Int]?
  /// What a training run noted.
  public let epoch: Int?, date: String?
  /// How many batch norms there are; nil for a bare state dict.
  public let batchNorms: Int?
  /// The largest first.
  public let dtypes: [TypeShare]
  /// Nil where the size of the input is not known.
  public let memory: Memory?
  /// The packages of Python that loading the whole module needs, beside PyTorch.
  public let packages: [String]
  /// The modules with most multiplications.
  public let heaviest: [Heavy]

  /// Looks at a checkpoint's preferred model.
  /// - Parameters:
  ///   - checkpoint: whose preferred model it is about.
  ///   - info: that model's counts.
  ///   - inputs: the shapes of what it takes.
  public init(_ checkpoint: Checkpoint, _ info: ModelInfo, inputs: [[Int]]) {
    (format, key, keys) = (checkpoint.format, checkpoint.preferredKey, checkpoint.keys)
    let module = checkpoint.preferred.module
    let head = module.flatMap(Self.head)
    let names = module.map { ClassNames(of: $0).all.map(\.value) } ?? LearnedClasses(checkpoint)?.names ?? []
    className = module?.className.description
    task = module?.attributes["task"]?.stringValue ?? head.map { ModelOverview.task(of: $0.className.name) }
    classNames = names.isEmpty ? nil : names
    classes = head?.attributes["nc"]?.intValue ?? (names.isEmpty ? nil : names.count)
    let levels = (head?.attributes["stride"] ?? module?.attributes["stride"])?.doublesValue
    strides = levels?.compactMap { Int(exactly: $0) }
    epoch = checkpoint.entry("epoch")?.intValue
    date = checkpoint.entry("date")?.stringValue
    var (norms, packages) = (0, OrderedSet<String>())
    module?.visitModules { part in
      if case .batchNorm = part.layer { norms += 1 }
      let package = part.className.module.split(separator: ".").first.map(String.init) ?? ""
      if !package.isEmpty, package != "torch" { packages.append(package) }
    }
    batchNorms = module == nil ? nil : norms
    self.packages = checkpoint.isWholeModule ? packages.sorted() : []
    var types: [DType: (tensors: Int, bytes: Int)] = [:]
    for tensor in checkpoint.preferred.stateDict().tensors.values {
      types[tensor.dtype, default: (0, 0)].tensors += 1
      types[tensor.dtype, default: (0, 0)].bytes += tensor.byteCount
    }
    dtypes = types.map { TypeShare(dtype: $0.key.rawValue, tensors: $0.value.tensors, bytes: $0.value.bytes) }
      .sorted { ($0.bytes, $1.dtype) > ($1.bytes, $0.dtype) }
    let input = inputs.reduce(0.0) { sum, shape in sum + shape.reduce(4.0) { $0 * Double($1) } }
    memory = Int(exactly: input).map {
      Memory(
        parameters: 4 * info.parameters, input: $0, largestActivation: info.activations.map { 4 * $0.largest },
        activations: info.activations.map { 4 * $0.total })
    }
    let total = info.modules.reduce(0) { $0 + ($1.macs ?? 0) }
    heaviest = info.modules.filter { ($0.macs ?? 0) > 0 }.sorted { ($0.macs ?? 0) > ($1.macs ?? 0) }.prefix(3).map {
      Heavy(name: $0.name, macs: $0.macs ?? 0, share: ($0.macs ?? 0) / total)
    }
  }

  /// The last module that knows how many classes there are.
  private static func head(of module: Module) -> Module? {
    var found: Module?
    module.forEachModule { path, part in
      if !path.isEmpty, part.attributes["nc"]?.intValue != nil { found = part }
    }
    return found
  }
}
