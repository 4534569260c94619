import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelEngine
import ModelGraph
import ModelONNX
import ModelSurgery

extension Module {
  /// What the module computes in evaluation mode, with float32 weights and pruning masks applied.
  /// - Parameter types: of the tensors that it takes.
  /// - Throws: `ModelError` for classes whose forward is not known, and for shapes that do not fit.
  public func evaluationGraph(for types: [TensorType]) throws -> Graph {
    var plain = self
    try plain.applyMasks()
    var graph = try Graph(plain, inputs: types)
    try graph.convert(to: .float32)
    return graph
  }

  /// The module as it is deployed: pruning masks applied, weights in float32, and parallel branches merged into one
  /// convolution each. It computes the same in less time.
  func deployed() throws -> Module {
    var plain = self
    try plain.applyMasks()
    try plain.convert(to: .float32)
    try plain.reparameterize()
    return plain
  }

  /// Computes the outputs for some inputs. To run often keep a `Plan` and a `Session`.
  /// - Throws: `ModelError` as `evaluationGraph` and `Plan` do.
  public func run(
    _ inputs: [Tensor], precision: Precision = .float32, on backend: some Backend = .cpu
  ) throws -> [Tensor] {
    let types = inputs.map { TensorType($0.dtype, $0.shape) }
    let plan = try Plan(evaluationGraph(for: types), for: types, precision: precision, on: backend)
    return try Session(plan).run(inputs)
  }

  /// Height and width of the pictures that the model is meant for: those that it says it was trained with, or 640, for
  /// YOLO's; what a classifier's original cuts pictures to; 224 for everything else.
  public var pictureSize: (height: Int, width: Int) {
    if let size = trainedSize { return (size, size) }
    guard attributes["stride"] == nil else { return (640, 640) }
    let size = (try? ClassifierPreprocessing(of: self))?.cropSize ?? [224, 224]
    return (size[0], size[1])
  }

  /// The side of the pictures that it was trained with, where Ultralytics notes it, and training here.
  var trainedSize: Int? {
    let entries = attributes["args"]?.entriesValue ?? []
    let size = entries.first { $0.key.stringValue == "imgsz" }?.value.intValue
    return size.flatMap { (1...1 << 14).contains($0) ? $0 : nil }
  }

  /// Notes the side of the pictures that it is trained with.
  mutating func setTrainedSize(_ size: Int) {
    let others = (attributes["args"]?.entriesValue ?? []).filter { $0.key.stringValue != "imgsz" }
    attributes["args"] = .dict(others + [.init(key: .string("imgsz"), value: .int(size))])
  }
}

extension Architecture {
  /// Height and width of the pictures that the network is meant for.
  /// - Throws: `ModelError` for a description that cannot be built.
  public func pictureSize() throws -> (height: Int, width: Int) { try module().pictureSize }
}

extension Checkpoint {
  /// Height and width of the pictures that the preferred model is meant for: those that it was trained with, else as
  /// `Module.pictureSize`; nil for a bare state dict that is not recognised.
  public var pictureSize: (height: Int, width: Int)? {
    trainedSize ?? (preferred.module ?? preferred.stateDict().recognized()?.module)?.pictureSize
  }

  /// Height and width of the pictures that the preferred model was trained with, where the file says.
  public var trainedSize: (height: Int, width: Int)? {
    if let size = onnx?.statedImageSize ?? LearnedClasses(self)?.imageSize { return (size[0], size[1]) }
    let side = preferred.module?.trainedSize ?? (try? DetectorTrainingOptions(of: self))?.imageSize
    return side.map { ($0, $0) }
  }

  /// The preferred model as a module whose forward can be looked up: itself, or the built-in architecture that a bare
  /// state dict is recognised as.
  /// - Throws: `ModelError` for a bare state dict that is not recognised, and for an ONNX model.
  public func computableModule() throws -> Module {
    if onnx != nil {
      throw ModelError(
        .unsupported, "is an ONNX model, of nodes and not of modules", file: name,
        advice: "give the PyTorch file that it was exported from")
    }
    if let module = preferred.module { return module }
    guard let known = preferred.stateDict().recognized() else {
      throw ModelError(
        .unsupported, "is a bare state dict of no known architecture, which does not say what its layers compute",
        file: name, advice: "use a file that holds the whole module")
    }
    return known.module
  }
}
